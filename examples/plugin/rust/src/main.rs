//! Localizes photos with rfga-edge.wasm in Rust, with the crate wasmtime: cargo run -- rfga-edge.wasm photo.jpg ...

use wasmtime::{Engine, Error, Instance, Linker, Memory, Module, Result, Store, WasmParams, WasmResults};
use wasmtime_wasi::{p1::WasiP1Ctx, WasiCtxBuilder};

struct Localizer {
    store: Store<WasiP1Ctx>,
    instance: Instance,
    memory: Memory,
    handle: i32,
}

impl Localizer {
    fn new(path: &str) -> Result<Self> {
        let engine = Engine::default();
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p1::add_to_linker_sync(&mut linker, |ctx| ctx)?;
        let mut store = Store::new(&engine, WasiCtxBuilder::new().build_p1()); // no files, no arguments
        let instance = linker.instantiate(&mut store, &Module::from_file(&engine, path)?)?;
        let memory = instance.get_memory(&mut store, "memory").ok_or_else(|| Error::msg("no memory"))?;
        let mut l = Localizer { store, instance, memory, handle: 0 };
        l.call::<(), ()>("_initialize", ())?;
        if l.call::<(), i32>("rfga_abi", ())? != 1 {
            return Err(Error::msg("this program speaks interface 1"));
        }
        let handle = l.call("rfga_load", (0i32, 0i32))?; // the model in the module
        l.handle = l.check(handle)?;
        Ok(l)
    }

    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, args: P) -> Result<R> {
        self.instance.get_typed_func::<P, R>(&mut self.store, name)?.call(&mut self.store, args)
    }

    fn check(&mut self, code: i32) -> Result<i32> {
        if code >= 0 {
            return Ok(code);
        }
        let text = self.call("rfga_error", ())?;
        Err(Error::msg(self.text(text)?))
    }

    /// A result is address << 32 | size of a text, or a negative number.
    fn text(&mut self, result: i64) -> Result<String> {
        if result < 0 {
            self.check(result as i32)?;
        }
        let mut b = vec![0; result as u32 as usize];
        self.memory.read(&self.store, (result >> 32) as usize, &mut b)?;
        Ok(String::from_utf8(b)?)
    }

    fn localize(&mut self, picture: &[u8], topk: i32) -> Result<String> {
        let size = picture.len() as i32;
        let block: i32 = self.call("rfga_alloc", size)?;
        self.memory.write(&mut self.store, block as u32 as usize, picture)?;
        let result = self.call("rfga_localize", (self.handle, block, size, 0i32, 0i32, 0i32, 0i32, topk))?;
        let text = self.text(result);
        let freed = self.call("rfga_free", block)?;
        self.check(freed)?;
        text
    }
}

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.len() < 2 {
        eprintln!("usage: localize rfga-edge.wasm PHOTO...");
        std::process::exit(2);
    }
    let mut localizer = Localizer::new(&args[0])?;
    let mut code = 0;
    for photo in &args[1..] {
        match std::fs::read(photo).map_err(Error::from).and_then(|file| localizer.localize(&file, 1)) {
            Ok(text) => println!("{text}"),
            Err(e) => {
                eprintln!("{photo}: {e}");
                code = 4;
            }
        }
    }
    std::process::exit(code)
}
