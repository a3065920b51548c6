// Package wasinn is a host module for wazero, wasi_ephemeral_nn (WASI-NN, witx snapshot), backed by this module's runtime: a guest
// in any language loads .rfga models, sets inputs and computes, and gets the native kernels of the machine.
//
//	nn := wasinn.New(wasinn.Config{Models: map[string]*runtime.Model{"default": m}})
//	_, err := nn.Instantiate(ctx, rt)             // rt is a wazero.Runtime
//	mod, err := rt.Instantiate(ctx, guest)
//	...
//	nn.Release(mod)                                // frees what the guest has loaded; nn.Close what all have
//
// # What a guest may do
//
//   - load: one builder holding a .rfga file. The encoding is not looked at beyond that: there is none for this format, so guests
//     say autodetect (6). target is ignored.
//   - load_by_name: a model that the host has put into Config.Models.
//   - set_input, index 0: u8 of dimensions (1,)height,width,3, the network's square in the model's colour order; or f32 of (1,)3,height,
//     width, normalised. Both are the same input to an int8 model.
//   - compute; then get_output, whose index counts the model's outputs in the file's order (a localizer has logits, then maps): float32, little
//     endian. A buffer that is too small gets error too_large and its size in bytes_written.
//
// # What a guest cannot do
//
// Every address and length is checked against the guest's memory, every model like any file from outside. Config bounds what one guest
// holds: models, contexts, bytes of model files and of activations. A call ends with ctx, between two operators. The guest's own time and
// memory are wazero's to bound (WithCloseOnContextDone, WithMemoryLimitPages).
//
// It imports wazero and package runtime.
package wasinn
