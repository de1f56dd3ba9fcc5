package gate

func (c *compiler) templates(shard) {}
func (c *compiler) tagTemplates()   {}
