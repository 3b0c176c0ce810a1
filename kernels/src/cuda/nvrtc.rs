//! NVIDIA's run-time compiler, found when asked for: no CUDA on the machine that builds, nor a GPU.
//!
//! The build script reads this file too, so it names nothing outside itself but libloading.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;

use libloading::Library;

/// Flags of every compilation: no contraction, no short cuts, so that kernels compute what they say.
pub(crate) const OPTIONS: [&str; 6] = [
    "--std=c++17",
    "--fmad=false",
    "--ftz=false",
    "--prec-div=true",
    "--prec-sqrt=true",
    "--ptxas-options=-v",
];

/// A loaded compiler.
pub(crate) struct Nvrtc {
    library: Library,
}

/// What a compilation gave.
pub(crate) struct Compiled {
    /// A cubin for `sm_*`, PTX for `compute_*`.
    pub(crate) image: Vec<u8>,
    /// What the compiler and the assembler said.
    pub(crate) log: String,
}

type Program = *mut c_void;

impl Nvrtc {
    /// Loads the compiler from a file, or by a name that the system's loader knows.
    ///
    /// # Errors
    /// What the loader says.
    pub(crate) fn open(path: &Path) -> Result<Self, String> {
        // SAFETY: the library's initialisers are NVIDIA's, and need nothing of us.
        let library = unsafe { Library::new(path) };
        library.map(|library| Self { library }).map_err(|error| error.to_string())
    }

    /// Compiles a text for a target such as `sm_86` or `compute_75`.
    ///
    /// # Errors
    /// The compiler's log.
    pub(crate) fn compile(&self, source: &str, target: &str) -> Result<Compiled, String> {
        let program = self.create(source)?;
        let arch = format!("--gpu-architecture={target}");
        let options: Vec<CString> =
            OPTIONS.iter().copied().chain([arch.as_str()]).map(to_c).collect::<Result<_, _>>()?;
        let pointers: Vec<*const c_char> = options.iter().map(|option| option.as_ptr()).collect();
        let count = c_int::try_from(pointers.len()).map_err(|error| error.to_string())?;
        let compile = self.symbol::<unsafe extern "C" fn(Program, c_int, *const *const c_char) -> c_int>(
            c"nvrtcCompileProgram",
        )?;
        // SAFETY: the program is alive, and there are `count` strings that end in zero.
        let status = unsafe { compile(program, count, pointers.as_ptr()) };
        let text = self.output(program, c"nvrtcGetProgramLogSize", c"nvrtcGetProgramLog");
        let image = if target.starts_with("sm_") {
            self.output(program, c"nvrtcGetCUBINSize", c"nvrtcGetCUBIN")
        } else {
            self.output(program, c"nvrtcGetPTXSize", c"nvrtcGetPTX")
        };
        self.destroy(program)?;
        let log = String::from_utf8_lossy(&text?).trim_end_matches('\0').to_owned();
        if status == 0 { Ok(Compiled { image: image?, log }) } else { Err(log) }
    }

    fn create(&self, source: &str) -> Result<Program, String> {
        type Create = unsafe extern "C" fn(
            *mut Program,
            *const c_char,
            *const c_char,
            c_int,
            *const *const c_char,
            *const *const c_char,
        ) -> c_int;
        let create = self.symbol::<Create>(c"nvrtcCreateProgram")?;
        let (source, name) = (to_c(source)?, c"kernels.cu");
        let (mut program, none) = (std::ptr::null_mut(), std::ptr::null());
        // SAFETY: the strings end in zero and are copied; there are no headers.
        let status = unsafe { create(&mut program, source.as_ptr(), name.as_ptr(), 0, none, none) };
        check("nvrtcCreateProgram", status).map(|()| program)
    }

    fn destroy(&self, mut program: Program) -> Result<(), String> {
        let destroy = self.symbol::<unsafe extern "C" fn(*mut Program) -> c_int>(c"nvrtcDestroyProgram")?;
        // SAFETY: the program is alive and is not used again.
        check("nvrtcDestroyProgram", unsafe { destroy(&mut program) })
    }

    /// Bytes that one function measures and another writes.
    fn output(&self, program: Program, size: &CStr, write: &CStr) -> Result<Vec<u8>, String> {
        let name = size.to_string_lossy();
        let size = self.symbol::<unsafe extern "C" fn(Program, *mut usize) -> c_int>(size)?;
        let write = self.symbol::<unsafe extern "C" fn(Program, *mut c_char) -> c_int>(write)?;
        let mut length = 0;
        // SAFETY: the program is alive.
        check(&name, unsafe { size(program, &mut length) })?;
        let mut bytes = vec![0_u8; length];
        // SAFETY: the buffer has the length just asked for.
        check(&name, unsafe { write(program, bytes.as_mut_ptr().cast()) })?;
        Ok(bytes)
    }

    fn symbol<T: Copy>(&self, name: &CStr) -> Result<T, String> {
        // SAFETY: every caller states the signature that nvrtc.h gives the name.
        let symbol = unsafe { self.library.get::<T>(name.to_bytes_with_nul()) };
        symbol.map(|symbol| *symbol).map_err(|error| error.to_string())
    }
}

fn to_c(text: &str) -> Result<CString, String> {
    CString::new(text).map_err(|error| error.to_string())
}

fn check(what: &str, status: c_int) -> Result<(), String> {
    if status == 0 { Ok(()) } else { Err(format!("{what} failed with status {status}")) }
}
