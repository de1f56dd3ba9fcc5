package images

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
)

// application is a program that waits for a signal, so that Pods of the samples run. Where
// nothing runs it, it only tells architectures apart.
func application(architecture string) []byte {
	if architecture != "amd64" {
		return []byte("application for " + architecture)
	}
	code := []byte{
		0xb8, 34, 0, 0, 0, // mov eax, SYS_pause
		0x0f, 0x05, // syscall
		0xeb, 0xf7, // jmp to the begin
	}
	const base, headers = 0x400000, 64 + 56
	h := elf.Header64{
		Type: uint16(elf.ET_EXEC), Machine: uint16(elf.EM_X86_64), Version: uint32(elf.EV_CURRENT),
		Entry: base + headers, Phoff: 64, Ehsize: 64, Phentsize: 56, Phnum: 1, Shentsize: 64,
	}
	copy(h.Ident[:], elf.ELFMAG)
	h.Ident[elf.EI_CLASS], h.Ident[elf.EI_DATA] = byte(elf.ELFCLASS64), byte(elf.ELFDATA2LSB)
	h.Ident[elf.EI_VERSION] = byte(elf.EV_CURRENT)
	size := uint64(headers + len(code))
	segment := elf.Prog64{
		Type: uint32(elf.PT_LOAD), Flags: uint32(elf.PF_R | elf.PF_X),
		Vaddr: base, Paddr: base, Filesz: size, Memsz: size, Align: 0x1000,
	}
	var program bytes.Buffer
	for _, part := range []any{h, segment, code} {
		if err := binary.Write(&program, binary.LittleEndian, part); err != nil {
			panic(err) // the parts have a fixed size, and a buffer takes all
		}
	}
	return program.Bytes()
}
