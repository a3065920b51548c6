// Package plugin loads rfga-edge.wasm, this project's WebAssembly module, with wazero: a localizer in a sandbox that sees no file,
// no network and no more memory than it is given. It is a host like any other of the interface that ABI.md specifies; what the
// module computes are the same bits as natively.
//
//	p, err := plugin.Open(ctx, wasm, plugin.Config{CacheDir: dir}) // compiles; with a cache only once
//	m, err := p.Load(ctx, nil)                                       // the model in the module, or a file's bytes
//	record, err := m.Localize(ctx, plugin.Picture(jpeg), 1)
//
// Below are
//
//	guest/    what the modules do, in plain Go
//	module/   rfga-edge.wasm, a WASI reactor
//	extism/   the same for hosts of Extism
//	wasinn/   the other way round: a host module through which any guest gets our native kernels
//
// It imports wazero and the root package (for the types of results).
package plugin
