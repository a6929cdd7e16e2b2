//! The pictures: where they come from, and what is made of them.

use std::{
    f32::consts::TAU,
    fs,
    io::Cursor,
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Rgb, RgbImage, imageops::FilterType};

use super::{file_name, service::Service};
use crate::failure::Failure;

/// The size of the pictures that are drawn.
const WIDTH: u32 = 800;
const HEIGHT: u32 = 600;

/// Where a picture comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    /// A file.
    File(PathBuf),
    /// This program draws it; each number gives another one.
    Drawn(u32),
}

impl Source {
    /// The name of its file, here and among the results.
    pub(super) fn name(&self) -> String {
        match self {
            Self::File(path) => file_name(path),
            Self::Drawn(number) => format!("drawn-{number:02}.{}", format_of(*number).extensions_str()[0]),
        }
    }

    /// The bytes of its file.
    pub(super) fn load(&self) -> Result<Vec<u8>, String> {
        match self {
            Self::File(path) => fs::read(path).map_err(|error| format!("cannot read it: {error}")),
            Self::Drawn(number) => encode(&draw(*number), format_of(*number)),
        }
    }
}

/// The PNG and JPEG files in a folder, by name.
///
/// # Errors
/// If the folder cannot be read.
pub(super) fn list(folder: &Path) -> Result<Vec<Source>, Failure> {
    let reading = || format!("cannot read the folder {}", folder.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(folder).with_context(reading)? {
        let path = entry.with_context(reading)?.path();
        let format = path.extension().and_then(ImageFormat::from_extension);
        if matches!(format, Some(ImageFormat::Png | ImageFormat::Jpeg)) && path.is_file() {
            sources.push(Source::File(path));
        }
    }
    sources.sort();
    Ok(sources)
}

/// Does a service's work to a picture: bytes of a file in, bytes of a file of the same format out.
///
/// # Errors
/// What is wrong with the picture or the parameter.
pub(super) fn apply(service: Service, parameter: &str, bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (picture, format) = decode(bytes)?;
    let made = match service {
        Service::Resize => fit(picture, parameter.parse().map_err(|_| "the side is no number")?),
        Service::Brighten => brighten(&picture, parameter)?,
    };
    encode(&made, format)
}

fn decode(bytes: &[u8]) -> Result<(DynamicImage, ImageFormat), String> {
    let reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().map_err(|error| error.to_string())?;
    let format = reader.format().ok_or("it is neither PNG nor JPEG")?;
    let mut decoder = reader.into_decoder().map_err(|error| error.to_string())?;
    // What a camera wrote about the way it was held is lost with the rest of the metadata: turn the picture itself.
    let orientation = decoder.orientation().map_err(|error| error.to_string())?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(|error| error.to_string())?;
    picture.apply_orientation(orientation);
    Ok((picture, format))
}

fn encode(picture: &DynamicImage, format: ImageFormat) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    picture.write_to(&mut Cursor::new(&mut bytes), format).map_err(|error| error.to_string())?;
    Ok(bytes)
}

fn fit(picture: DynamicImage, side: u32) -> DynamicImage {
    if picture.width() <= side && picture.height() <= side {
        return picture;
    }
    picture.resize(side, side, FilterType::Triangle)
}

fn brighten(picture: &DynamicImage, parameter: &str) -> Result<DynamicImage, String> {
    let (by, gray) = match parameter.strip_suffix(" gray") {
        Some(by) => (by, true),
        None => (parameter, false),
    };
    let by = by.parse().map_err(|_| "the brightness is no number")?;
    let brighter = picture.brighten(by);
    Ok(if gray { brighter.grayscale() } else { brighter })
}

/// Photographs are JPEG and drawings PNG; here every other one is.
fn format_of(number: u32) -> ImageFormat {
    if number.is_multiple_of(2) { ImageFormat::Jpeg } else { ImageFormat::Png }
}

/// Ripples of two stones in coloured water.
fn draw(number: u32) -> DynamicImage {
    let turn = number as f32 * 0.618 * TAU;
    let stone = |angle: f32, radius: f32| (0.5 + radius * angle.cos(), 0.5 + radius * angle.sin());
    let stones = [stone(turn, 0.3), stone(turn * 1.7 + 2.0, 0.4)];
    DynamicImage::ImageRgb8(RgbImage::from_fn(WIDTH, HEIGHT, |x, y| {
        let (x, y) = (x as f32 / WIDTH as f32, y as f32 / HEIGHT as f32);
        let waves: f32 = stones.iter().map(|(at_x, at_y)| ((x - at_x).hypot(y - at_y) * 40.0 - turn).sin()).sum();
        let shade = |phase: f32| (110.0 + 70.0 * (turn + phase + x * 2.0 + y).sin() + 35.0 * waves) as u8;
        Rgb([shade(0.0), shade(TAU / 3.0), shade(TAU * 2.0 / 3.0)])
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_keep_their_format_and_proportions() {
        for number in [1, 2] {
            let bytes = Source::Drawn(number).load().unwrap();
            let resized = apply(Service::Resize, "80", &bytes).unwrap();
            let (picture, format) = decode(&resized).unwrap();
            assert_eq!((picture.width(), picture.height(), format), (80, 60, format_of(number)));
        }
    }

    #[test]
    fn small_pictures_keep_their_size() {
        let small = encode(&DynamicImage::new_rgba8(3, 2), ImageFormat::Png).unwrap();
        let (picture, _) = decode(&apply(Service::Resize, "80", &small).unwrap()).unwrap();
        assert_eq!((picture.width(), picture.height()), (3, 2));
    }

    #[test]
    fn brightness_and_colours_are_adjusted() {
        let dark = encode(&DynamicImage::ImageRgb8(RgbImage::from_pixel(1, 1, Rgb([10, 0, 250]))), ImageFormat::Png);
        let pixel = |parameter| {
            let made = apply(Service::Brighten, parameter, dark.as_ref().unwrap()).unwrap();
            decode(&made).unwrap().0.to_rgb8().get_pixel(0, 0).0
        };
        assert_eq!(pixel("20"), [30, 20, 255]);
        assert_eq!(pixel("-20"), [0, 0, 230]);
        let gray = pixel("0 gray");
        assert_eq!([gray[0]; 3], gray);
    }

    #[test]
    fn what_is_no_picture_is_told() {
        assert!(apply(Service::Resize, "80", b"hello").unwrap_err().contains("neither"));
        assert!(apply(Service::Resize, "80", b"\x89PNG\r\n\x1a\n").is_err());
        assert!(apply(Service::Brighten, "much", &Source::Drawn(1).load().unwrap()).is_err());
    }
}
