//! A guest of the host module wasi_ephemeral_nn in Rust: it reads a picture of the network's size from standard input, raw RGB, and
//! prints the most probable class of the model that the host calls "default", with its logit. Arguments: width and height. Build it with
//!
//!     rustc -O --target wasm32-wasip1 -o guest.wasm guest.rs        (older compilers call the target wasm32-wasi)

use std::io::Read;

#[link(wasm_import_module = "wasi_ephemeral_nn")]
extern "C" {
    fn load_by_name(name: *const u8, size: usize, graph: *mut u32) -> u32;
    fn init_execution_context(graph: u32, context: *mut u32) -> u32;
    fn set_input(context: u32, index: u32, tensor: *const Tensor) -> u32;
    fn compute(context: u32) -> u32;
    fn get_output(context: u32, index: u32, buffer: *mut f32, size: usize, written: *mut u32) -> u32;
}

#[repr(C)]
struct Tensor {
    dims: *const u32,
    rank: usize,
    kind: u8,
    data: *const u8,
    size: usize,
}

fn must(call: &str, errno: u32) {
    if errno != 0 {
        eprintln!("{}: error {}", call, errno);
        std::process::exit(1);
    }
}

fn main() {
    let size: Vec<u32> = std::env::args().skip(1).map(|a| a.parse().expect("a number")).collect();
    let (w, h) = (size[0], size[1]);
    let mut pixels = Vec::new();
    std::io::stdin().take(3 * u64::from(w) * u64::from(h)).read_to_end(&mut pixels).expect("pixels");
    let (name, dims) = ("default", [h, w, 3]);
    let (mut graph, mut context, mut written) = (0, 0, 0);
    let mut logits = vec![0f32; 4096];
    const U8: u8 = 3;
    unsafe {
        must("load_by_name", load_by_name(name.as_ptr(), name.len(), &mut graph));
        must("init_execution_context", init_execution_context(graph, &mut context));
        let tensor = Tensor { dims: dims.as_ptr(), rank: 3, kind: U8, data: pixels.as_ptr(), size: pixels.len() };
        must("set_input", set_input(context, 0, &tensor));
        must("compute", compute(context));
        must("get_output", get_output(context, 0, logits.as_mut_ptr(), 4 * logits.len(), &mut written));
    }
    logits.truncate(written as usize / 4);
    let best = (0..logits.len()).fold(0, |b, i| if logits[i] > logits[b] { i } else { b });
    println!("class {}, logit {:.4}", best, logits[best]);
}
