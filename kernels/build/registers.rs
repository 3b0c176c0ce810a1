//! What the assembler says each kernel costs.

/// One line per kernel from an assembler's log: target, kernel, registers, bytes spilled, stack and shared.
///
/// # Errors
/// Where the log is not what `--ptxas-options=-v` prints.
pub(crate) fn table(target: &str, log: &str) -> Result<String, String> {
    let mut lines = Vec::new();
    let mut kernel = None;
    let mut memory = [0_u32; 3];
    for line in log.lines() {
        if let Some(name) = between(line, "Compiling entry function '", "'") {
            kernel = Some(name);
        } else if line.contains("bytes stack frame") && kernel.is_some() {
            memory = [" bytes stack frame", " bytes spill stores", " bytes spill loads"]
                .map(|unit| before(line, unit));
        } else if line.contains(": Used ") {
            let Some(name) = kernel.take() else { continue };
            let [stack, stores, loads] = memory;
            let (used, shared) = (before(line, " registers"), before(line, " bytes smem"));
            lines.push(format!(
                "{target}  {name:<36} {used:>9} {:>7} {stack:>7} {shared:>8}\n",
                stores + loads
            ));
        }
    }
    lines.sort();
    if lines.is_empty() { Err(format!("no kernel in the log:\n{log}")) } else { Ok(lines.concat()) }
}

fn between<'a>(line: &'a str, start: &str, end: &str) -> Option<&'a str> {
    line.split_once(start)?.1.split(end).next()
}

/// The number that stands before a unit, 0 where the unit does not occur.
fn before(line: &str, unit: &str) -> u32 {
    let number = line.split_once(unit).and_then(|(head, _)| head.rsplit([' ', ',']).next());
    number.and_then(|number| number.parse().ok()).unwrap_or(0)
}
