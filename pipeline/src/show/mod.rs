//! `show`: one target of a run as a picture, for people.
//!
//! [`gather`] finds the target's row and reads its spectrum again; the panels turn that into a
//! [`scene`] of plain marks; [`paint`] makes PNG or SVG of it.

mod facts;
mod font;
mod frame;
mod gather;
mod label;
mod paint;
mod scene;
mod similar;
mod spectrum;
mod trace;
mod window;

use std::path::Path;

use crate::cli::ShowArgs;
use crate::error::{Error, Result};
use crate::exit::Exit;
use crate::plan::{Overrides, Plan};
use crate::run::print;
use crate::stages;

use font::Font;
use gather::Target;
use paint::Format;
use scene::{HEIGHT, Ink, Scene, Text, WIDTH};
pub(crate) use similar::{Seen, draw_similar};

/// Draws the target that was asked for and says what was drawn.
///
/// # Errors
/// Where the run file is not valid, the run does not hold the target, its spectrum cannot be read
/// again, or the picture cannot be written; then no file is left.
pub(crate) fn run(args: &ShowArgs) -> Result<Exit> {
    let format = Format::of(&args.out)?;
    let overrides =
        Overrides { input: args.input.clone(), folder: args.run_folder.clone(), ..Overrides::default() };
    let plan = Plan::read(&args.run_file, &overrides)?;
    let inventory = stages::inventory::load(&plan)?;
    let target = gather::read(&plan, &inventory, args.target, args.unit.as_deref())?;
    let font = Font::embedded();
    let scene = draw(&target, &font);
    let drawing = |reason: String| Error::Drawing { path: args.out.clone(), reason };
    match format {
        Format::Svg => write_text(&args.out, &paint::svg(&scene).map_err(drawing)?)?,
        Format::Png => paint::write_png(&scene, &font, &args.out)?,
    }
    print(&said(&target, &args.out))?;
    Ok(Exit::Complete)
}

fn write_text(path: &Path, text: &str) -> Result<()> {
    crate::sink::write_atomically(path, text.as_bytes())
}

/// The whole picture: the spectrum, its strongest lines below it, the facts beside them.
fn draw(target: &Target, font: &Font) -> Scene {
    let mut scene = Scene::default();
    headline(&mut scene, target);
    let lines = window::strongest(&target.row, window::PANELS);
    // Without lines to look at closely the spectrum takes their room.
    let bottom = if lines.is_empty() { HEIGHT - 64.0 } else { 604.0 };
    spectrum::draw(&mut scene, target, font, bottom);
    window::draw(&mut scene, target, font, &lines);
    facts::draw(&mut scene, target, font);
    scene
}

fn headline(scene: &mut Scene, target: &Target) {
    let what = match (target.class, target.z) {
        (Some(class), Some(z)) => format!("{} at z = {z:.5}", class.name().to_uppercase()),
        _ => format!("not measured: {}", target.why_not()),
    };
    let text = format!("TARGETID {}   {what}", target.targetid);
    scene.text(Text::new((spectrum::LEFT, 34.0), 23.0, Ink::TEXT, text));
    let unit = Text::new((WIDTH - 16.0, 34.0), 15.0, Ink::FAINT, target.unit.to_string());
    scene.text(unit.right());
}

/// The one line on standard output.
fn said(target: &Target, path: &Path) -> String {
    let what = match (target.class, target.z) {
        (Some(class), Some(z)) => format!("{class} at z = {z:.5}"),
        _ => format!("not measured: {}", target.why_not()),
    };
    let also = match target.elsewhere.as_slice() {
        [] => String::new(),
        others => {
            let names: Vec<String> = others.iter().map(ToString::to_string).collect();
            format!("; also in {}: choose with --unit", names.join(", "))
        }
    };
    format!("drew target {} of {}, {what}, in {}{also}\n", target.targetid, target.unit, path.display())
}
