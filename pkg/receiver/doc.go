// Package receiver is the receiver's HTTP interface: POST / takes CloudEvents, and
// POST /registries/<name> takes the notifications of a registry. Package intake does
// what they ask for.
//
// Contract:
//   - A request that intake handled is answered 202 without a body. Nothing is answered
//     202 before it is recorded, but for what package intake puts off.
//   - A failure that a retry may cure is answered 429 or 503 with Retry-After. It is
//     never answered 500, because sources drop what was answered 500.
//   - A request that can never be handled is answered 4xx with the reason.
//   - No answer is a CloudEvent. A Broker would deliver it as a new event.
//   - Limits bound the requests under way, the bytes that their bodies hold, and the
//     time that each takes. A request above a limit is refused whole. Bodies take memory as
//     their bytes come, whatever they announce.
//   - A source, which is the address that requests come from, leaves room for others: it holds
//     at most a quarter of what they leave, and half while it is alone (shares.go).
package receiver
