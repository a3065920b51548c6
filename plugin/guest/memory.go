package guest

import "unsafe"

// Memory is the blocks that a host has asked for, by address. A block stays where it is, and alive, until it is freed or taken.
type Memory struct{ blocks map[uint32][]byte }

// MaxBlock is the largest block that Alloc gives.
const MaxBlock = 1 << 30

// Address is where a block begins in a module's 32-bit memory.
func Address(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

// Alloc returns the address of n bytes, zeroed and 8-byte aligned; 0 if n is out of range.
func (m *Memory) Alloc(n uint32) uint32 {
	if n > MaxBlock {
		return 0
	}
	words := make([]uint64, max(1, (int(n)+7)/8))
	b := unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(words))), 8*len(words))[:n:n]
	if m.blocks == nil {
		m.blocks = map[uint32][]byte{}
	}
	p := Address(b)
	m.blocks[p] = b
	return p
}

// Take hands the whole block at p over and forgets it. A length of 0 at address 0 is no bytes.
func (m *Memory) Take(p, n uint32) ([]byte, error) {
	if p == 0 && n == 0 {
		return nil, nil
	}
	b, ok := m.blocks[p]
	if !ok || int(n) > len(b) {
		return nil, fail(CodeArgument, "%d bytes at address %d are not a block of rfga_alloc", n, p)
	}
	delete(m.blocks, p)
	return b[:n:n], nil
}

// Bytes returns n bytes at p, which must lie in one block.
func (m *Memory) Bytes(p, n uint32) ([]byte, error) {
	if n == 0 {
		return nil, nil
	}
	if b, ok := m.blocks[p]; ok && int(n) <= len(b) {
		return b[:n], nil
	}
	for start, b := range m.blocks { // inside of a block: hosts have few
		if p >= start && uint64(p-start)+uint64(n) <= uint64(len(b)) {
			return b[p-start:][:n], nil
		}
	}
	return nil, fail(CodeArgument, "%d bytes at address %d are not in a block of rfga_alloc", n, p)
}

// Free forgets the block at p; 0 is no block.
func (m *Memory) Free(p uint32) error {
	if _, ok := m.blocks[p]; !ok && p != 0 {
		return fail(CodeArgument, "address %d is not a block of rfga_alloc", p)
	}
	delete(m.blocks, p)
	return nil
}
