"""Images in folders, one folder a class, and images in an NPZ file.

A file is decoded by Pillow. It is turned as its EXIF orientation says. Grey of 8 or 16 bits, colour and palettes are
read. An image with something transparent in it, with several frames, or with more than 2^26 pixels is refused. Colour
becomes grey by the luma of ITU-R 601-2, and grey becomes three equal channels. Both are counted. A pixel is divided by
the largest value of its type. Files are taken in the order of their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parties.learning.own.choices import ClassValue, ImageChoices
from parties.learning.own.extras import library
from parties.learning.own.tables import LARGEST, array_names, read_arrays
from parties.learning.records import DataError, Images

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm", ".ppm", ".pnm"}
_MOST_PIXELS = 1 << 26
_GREY = ("1", "L", "I;16", "I;16B", "I;16L", "LA")
_COLOUR = ("RGB", "RGBA", "P", "PA", "CMYK", "YCbCr")


def read_folder(
    folder: Path, image: ImageChoices, classes: Sequence[ClassValue]
) -> tuple[Images, NDArray[np.int64] | None, dict[str, int]]:
    """Read the images of a folder, ``(n, channels, height, width)`` in 0..1, with classes by the names of its folders.

    Without folders in it the images have no class. The last result counts what was done or left out, by what it was.
    """
    counts: dict[str, int] = {}
    listed, left_out = _listed(folder, classes)
    if left_out:
        counts["other files left out"] = left_out
    if not listed:
        raise DataError(f"{folder}: expected images ({', '.join(sorted(_SUFFIXES))}), found none")
    channels, height, width = image.shape
    if len(listed) * channels * height * width * 4 > LARGEST:
        raise DataError(f"{folder}: expected at most {LARGEST} bytes in memory, found {len(listed)} images: take fewer")
    images = np.empty((len(listed), *image.shape), np.float32)
    for place, (path, _) in enumerate(listed):
        images[place] = _decoded(path, image, counts)
    labels = [label for _, label in listed]
    if labels[0] is None:
        return images, None, counts
    return images, np.array(labels, np.int64), counts


def _listed(folder: Path, classes: Sequence[ClassValue]) -> tuple[list[tuple[Path, int | None]], int]:
    """Return every image with its class, and how many other files there are."""
    entries = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    folders = [path for path in entries if path.is_dir()]
    names = {str(value): place for place, value in enumerate(classes)}
    if folders and any(_is_image(path) for path in entries):
        raise DataError(f"{folder}: expected folders of classes, or images, found both")
    if not folders:
        return [(path, None) for path in entries if _is_image(path)], sum(not _is_image(path) for path in entries)
    listed: list[tuple[Path, int | None]] = []
    left_out = len(entries) - len(folders)
    for inner in folders:
        if inner.name not in names:
            raise DataError(f"{folder}: expected folders named {', '.join(names)}, found {inner.name!r}")
        files = sorted(path for path in inner.iterdir() if not path.name.startswith("."))
        listed += [(path, names[inner.name]) for path in files if _is_image(path)]
        left_out += sum(not _is_image(path) for path in files)
    return listed, left_out


def _is_image(path: Path) -> bool:
    return path.is_file() and path.suffix.lower() in _SUFFIXES


def _decoded(path: Path, image: ImageChoices, counts: dict[str, int]) -> Images:
    """Return one image file as ``(channels, height, width)`` in 0..1. Raises `DataError` that names the file."""
    pillow, operations = library("PIL.Image"), library("PIL.ImageOps")
    try:
        with pillow.open(path) as file:
            if file.width * file.height > _MOST_PIXELS:
                raise DataError(f"{path}: expected at most {_MOST_PIXELS} pixels, found {file.width} x {file.height}")
            if getattr(file, "n_frames", 1) > 1:
                raise DataError(f"{path}: expected one image, found {file.n_frames} frames")
            mode = file.mode
            if mode not in _GREY + _COLOUR:
                raise DataError(f"{path}: expected grey of 8 or 16 bits, colour or a palette, found mode {mode}")
            turned = operations.exif_transpose(file)
            turned.load()
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError, pillow.DecompressionBombError) as error:
        raise DataError(f"{path}: expected a whole image, found a damaged one ({type(error).__name__})") from error
    if file.getexif().get(0x0112, 1) != 1:
        _count(counts, "images turned as their EXIF orientation says")
    return _pixels(path, _fitted(path, _opaque(path, turned), image, counts), image, mode, counts)


def _opaque(path: Path, picture: Any) -> Any:
    """Return an image without its alpha channel, or refuse one with something transparent in it."""
    if picture.mode in ("LA", "PA", "RGBA") or "transparency" in picture.info:
        grey = picture.mode in ("L", "LA", "1")
        alpha = np.asarray(picture.convert("RGBA"))[..., 3]
        if alpha.min() < 255:
            share = float((alpha < 255).mean())
            raise DataError(f"{path}: expected an image without transparency, found {share:.1%} of it transparent")
        return picture.convert("L" if grey else "RGB")
    return (
        picture.convert("L" if picture.mode == "1" else "RGB")
        if picture.mode in ("1", "P", "CMYK", "YCbCr")
        else picture
    )


def _fitted(path: Path, picture: Any, image: ImageChoices, counts: dict[str, int]) -> Any:
    height, width = image.size
    if picture.size == (width, height):
        return picture
    if not image.resize:
        raise DataError(
            f"{path}: expected height {height} and width {width}, found {picture.height} and {picture.width}: set "
            "resize to true under `image:`, or resize it yourself"
        )
    _count(counts, "images resized")
    return picture.resize((width, height), library("PIL.Image").Resampling.BILINEAR, reducing_gap=None)


def _pixels(path: Path, picture: Any, image: ImageChoices, mode: str, counts: dict[str, int]) -> Images:
    if image.colour == "grey" and picture.mode == "RGB":
        if mode != "P":
            _count(counts, "colour images made grey")
        picture = picture.convert("L")
    elif image.colour == "rgb" and picture.mode != "RGB":
        _count(counts, "grey images given three channels")
    values = np.asarray(picture)
    most = 65535 if picture.mode.startswith("I;16") else 255
    if values.dtype.kind not in "ui" or values.min() < 0 or values.max() > most:
        raise DataError(f"{path}: expected pixels of 0..{most}, found {values.dtype} in {values.min()}..{values.max()}")
    planes = np.moveaxis(values, -1, 0) if values.ndim == 3 else values[None]
    result = np.broadcast_to(planes, image.shape) / np.float32(most)
    return result.astype(np.float32)


def _count(counts: dict[str, int], what: str) -> None:
    counts[what] = counts.get(what, 0) + 1


def read_images(path: Path, image: ImageChoices, label: str, ranged: bool) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """Read ``images`` from an NPZ file, and the array named `label` if it is there.

    Images are ``(n, height, width)``, ``(n, height, width, channels)`` or ``(n, channels, height, width)``. Whole
    numbers are divided by the largest value of their type, of 8 or 16 bits. Others are in 0..1 already, unless `ranged`
    says that a stated scale follows. Returns ``(n, channels, height, width)``.
    """
    if "images" not in (names := array_names(path)):
        raise DataError(f"{path}: expected an array 'images', found {', '.join(names) or 'none'}")
    arrays = read_arrays(path, ["images", label])
    images = _channels_first(path, arrays["images"], image)
    if not len(images):
        raise DataError(f"{path}: expected at least one image, found none")
    if ranged:
        values = images.astype(np.float64)
    elif images.dtype in (np.uint8, np.uint16):
        values = images / np.float64(np.iinfo(images.dtype).max)
    elif images.dtype.kind == "f" and images.min() >= 0 and images.max() <= 1:  # not so where one is undefined
        values = images.astype(np.float64)
    else:
        raise DataError(
            f"{path}, array 'images': expected bytes, or numbers in 0..1, found {images.dtype} in "
            f"{images.min():g}..{images.max():g}: state the scale"
        )
    if not np.isfinite(values).all():
        raise DataError(
            f"{path}, array 'images': expected finite numbers, found {int((~np.isfinite(values)).sum())} others"
        )
    return values, arrays.get(label)


def _channels_first(path: Path, images: NDArray[Any], image: ImageChoices) -> NDArray[Any]:
    channels, height, width = image.shape
    if images.shape[1:] == (channels, height, width):
        return images
    if images.shape[1:] == (height, width, channels):
        return np.moveaxis(images, -1, 1)
    if channels == 1 and images.shape[1:] == (height, width):
        return images[:, None]
    expected = f"(n, {height}, {width}, {channels}), (n, {channels}, {height}, {width})"
    expected += f" or (n, {height}, {width})" if channels == 1 else ""
    raise DataError(f"{path}, array 'images': expected shape {expected}, found {images.shape}")
