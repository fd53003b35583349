"""Images of users' own: pixels are what the file says, whatever its kind, and no damaged one is believed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from parties.learning.own import pictures
from parties.learning.own.choices import DataChoices
from parties.learning.own.reading import Reader
from parties.learning.records import DataError

GREY = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20
COLOUR = np.stack([GREY, GREY[::-1], 255 - GREY], axis=-1)


def reader(image: dict[str, Any] | None = None, **changes: Any) -> Reader:
    agreed: dict[str, Any] = {"image": {"size": [3, 4]} | (image or {}), "classes": ["cat", "dog"], "records": "images"}
    return Reader(DataChoices(**agreed | changes))


def folder(top: Path, picture: Image.Image | None = None, name: str = "a.png", **saved: Any) -> Path:
    """A folder of two classes, with a picture among the dogs."""
    for kind in ("cat", "dog"):
        (top / "images" / kind).mkdir(parents=True, exist_ok=True)
    if picture is not None:
        picture.save(top / "images" / "dog" / name, **saved)
    return top / "images"


def test_a_folder_for_each_class_gives_its_images_in_the_order_of_names(tmp_path: Path) -> None:
    top = folder(tmp_path, Image.fromarray(GREY), "b.png")
    Image.fromarray(255 - GREY).save(top / "dog" / "a.PNG")
    Image.fromarray(GREY // 2).save(top / "cat" / "z.bmp")
    (top / "cat" / ".hidden").write_text("")
    (top / "cat" / "notes.txt").write_text("")
    own = reader()
    records = own.records(top)
    assert records.labels.tolist() == [0, 1, 1]
    assert records.images.shape == (3, 1, 3, 4)
    expected = np.stack([GREY // 2, 255 - GREY, GREY])[:, None] / 255
    np.testing.assert_allclose(records.images, expected, atol=1e-7)
    assert own.notes == ["images: 1 other files left out"]
    swapped = reader(classes=["dog", "cat"]).records(top)
    assert swapped.labels.tolist() == [1, 0, 0]


def palette() -> Image.Image:
    return Image.fromarray(COLOUR).quantize(12)


def sixteen() -> Image.Image:
    return Image.fromarray(GREY.astype(np.uint16) * 257)


KINDS: dict[str, tuple[Callable[[], Image.Image], str, np.ndarray]] = {
    "grey": (lambda: Image.fromarray(GREY), "a.png", GREY),
    "16 bits": (sixteen, "a.png", GREY),
    "16 bits in tiff": (sixteen, "a.tif", GREY),
    "black and white": (lambda: Image.fromarray(GREY > 100), "a.png", (GREY > 100) * 255),
    "opaque alpha": (lambda: Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (4, 3), 255)]), "a.png", GREY),
    "gif": (lambda: Image.fromarray(GREY), "a.gif", GREY),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_grey_gives_its_pixels(tmp_path: Path, kind: str) -> None:
    made, name, expected = KINDS[kind]
    top = folder(tmp_path, made(), name)
    np.testing.assert_allclose(reader().records(top).images[0, 0], expected / 255, atol=1e-7)
    three = reader({"colour": "rgb"})
    np.testing.assert_allclose(three.records(top).images[0], np.stack([expected / 255] * 3), atol=1e-7)
    if kind != "gif":  # which is a palette
        assert three.notes == ["images: 1 grey images given three channels"]


@pytest.mark.parametrize(
    "made", [lambda: Image.fromarray(COLOUR), palette, lambda: Image.fromarray(COLOUR).convert("RGBA")]
)
def test_colour_stays_or_becomes_grey_by_its_luma(tmp_path: Path, made: Callable[[], Image.Image]) -> None:
    top = folder(tmp_path, made())
    pixels = np.asarray(made().convert("RGB"))
    images = reader({"colour": "rgb"}).records(top).images
    np.testing.assert_allclose(images[0], np.moveaxis(pixels, -1, 0) / 255, atol=1e-7)
    luma = (pixels @ np.array([299, 587, 114]) / 1000) / 255  # ITU-R 601-2
    np.testing.assert_allclose(reader().records(top).images[0, 0], luma, atol=1.01 / 255)


def test_an_image_is_turned_as_its_exif_data_say(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by a quarter
    own = reader()
    top = folder(tmp_path, Image.fromarray(np.rot90(GREY)), exif=exif)
    np.testing.assert_allclose(own.records(top).images[0, 0], GREY / 255, atol=1e-7)
    assert own.notes == ["images: 1 images turned as their EXIF orientation says"]


def test_another_size_is_refused_or_resized(tmp_path: Path) -> None:
    top = folder(tmp_path, Image.new("L", (8, 6), 100))
    with pytest.raises(DataError, match=r"dog/a\.png: expected height 3 and width 4, found 6 and 8: set resize"):
        reader().records(top)
    own = reader({"resize": True})
    assert own.records(top).images[0, 0].tolist() == np.full((3, 4), 100 / 255, np.float32).tolist()
    assert own.notes == ["images: 1 images resized"]


def transparent() -> Image.Image:
    picture = Image.fromarray(COLOUR).convert("RGBA")
    picture.putpixel((0, 0), (1, 2, 3, 0))
    return picture


def test_what_is_no_plain_image_is_refused_by_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = folder(tmp_path, transparent())
    with pytest.raises(DataError, match=r"dog/a\.png: expected an image without transparency, found 8\.3% of it"):
        reader().records(top)
    folder(tmp_path, Image.fromarray(GREY), save_all=True, append_images=[Image.fromarray(255 - GREY)])
    with pytest.raises(DataError, match=r"a\.png: expected one image, found 2 frames"):
        reader().records(top)
    folder(tmp_path, Image.fromarray(GREY))
    whole = (top / "dog" / "a.png").read_bytes()
    for damaged in (b"", whole[:30], whole[:-30], b"GIF89a" + whole):
        (top / "dog" / "a.png").write_bytes(damaged)
        with pytest.raises(DataError, match=r"dog/a\.png: expected a whole image, found a damaged one"):
            reader().records(top)
    (top / "dog" / "a.png").unlink()
    folder(tmp_path, Image.fromarray(GREY.astype(np.float32)), "a.tif")
    with pytest.raises(DataError, match=r"a\.tif: expected grey of 8 or 16 bits, colour or a palette, found mode F"):
        reader().records(top)
    monkeypatch.setattr(pictures, "_MOST_PIXELS", 11)
    with pytest.raises(DataError, match=r"at most 11 pixels, found 4 x 3"):
        reader().records(top)


def test_folders_are_the_classes(tmp_path: Path) -> None:
    top = folder(tmp_path)
    with pytest.raises(DataError, match=r"expected images .* found none"):
        reader().records(top)
    folder(tmp_path, Image.fromarray(GREY))
    (top / "fox").mkdir()
    with pytest.raises(DataError, match="expected folders named cat, dog, found 'fox'"):
        reader().records(top)
    (top / "fox").rmdir()
    Image.fromarray(GREY).save(top / "a.png")
    with pytest.raises(DataError, match="folders of classes, or images, found both"):
        reader().records(top)


def test_images_without_folders_are_asked_about(tmp_path: Path) -> None:
    Image.fromarray(GREY).save(tmp_path / "b.png")
    Image.fromarray(255 - GREY).save(tmp_path / "a.png")
    asked = reader().asked(tmp_path)
    assert asked.labels is None
    np.testing.assert_allclose(asked.images[1, 0], GREY / 255, atol=1e-7)
    with pytest.raises(DataError, match="expected labels, found none: a folder for each class"):
        reader().records(tmp_path)


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 1), (2, 1, 3, 4)])
@pytest.mark.parametrize(("kind", "most"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1)])
def test_images_in_an_array(tmp_path: Path, shape: tuple[int, ...], kind: Any, most: int) -> None:
    values = np.linspace(0, most, 24).astype(kind).reshape(2, 3, 4)
    np.savez(tmp_path / "a.npz", images=values.reshape(shape), labels=np.array(["dog", "cat"]))
    records = reader().records(tmp_path / "a.npz")
    np.testing.assert_allclose(records.images[:, 0], values / most, atol=1e-6)
    assert records.labels.tolist() == [1, 0]


def test_arrays_in_another_range_have_a_stated_scale(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.array([[-1.0, 3.0]]).reshape(1, 1, 2))
    with pytest.raises(DataError, match=r"numbers in 0\.\.1, found float64 in -1\.\.3: state the scale"):
        reader({"size": [1, 2]}).asked(tmp_path / "a.npz")
    scaled = reader({"size": [1, 2]}, scale={"minimum": -1, "maximum": 1})
    assert scaled.asked(tmp_path / "a.npz").images.reshape(-1).tolist() == [0, 1]
    assert scaled.notes == ["a.npz: 1 numbers were cut to the stated scale in 1 columns"]
    np.savez(tmp_path / "a.npz", images=np.array([[np.nan, 0.5]]).reshape(1, 1, 2))
    with pytest.raises(DataError, match=r"in nan..nan"):
        reader({"size": [1, 2]}).asked(tmp_path / "a.npz")


def test_arrays_of_other_shapes_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 4, 3)), labels=np.zeros(2))
    with pytest.raises(DataError, match=r"expected shape .* or \(n, 3, 4\), found \(2, 4, 3\)"):
        reader().records(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 4)), labels=np.zeros(3))
    with pytest.raises(DataError, match="labels for 2 images, found 3"):
        reader().records(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", pictures=np.zeros((2, 3, 4)))
    with pytest.raises(DataError, match="an array 'images', found pictures"):
        reader().records(tmp_path / "a.npz")


def test_images_with_several_labels(tmp_path: Path) -> None:
    labels = np.array([[1, 0], [0, 0]])
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 4)), labels=labels)
    several = {"classes": [], "labels": ["fog", "ice"]}
    assert reader(**several).records(tmp_path / "a.npz").labels.tolist() == labels.tolist()
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 4)), labels=labels * 2)
    with pytest.raises(DataError, match="row 1, column 'fog': expected 0 or 1, found 2"):
        reader(**several).records(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=np.zeros((2, 3, 4)), labels=labels[:, :1])
    with pytest.raises(DataError, match=r"expected labels \(n, 2\), found shape \(2, 1\)"):
        reader(**several).records(tmp_path / "a.npz")
