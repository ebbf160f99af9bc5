"""Decodes frames with GDCM in a process of its own: run as a script by `gdcm_process.py`, never imported.

Standard input holds requests: a line of JSON (what GDCM must know of the frame, and its length), then the frame.
Standard output answers each with eight little-endian bytes of length, -1 where GDCM refuses, then the samples.
"""

import json
import resource
import sys
from typing import Any

import gdcm


def decode(frame: bytes, layout: dict[str, Any]) -> bytes | None:
    """The samples of one frame in native layout, or None."""
    fragment = gdcm.Fragment()
    fragment.SetByteStringValue(frame)
    fragments = gdcm.SequenceOfFragments.New()
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((layout["columns"], layout["rows"], 1))
    image.SetDataElement(element)
    kind = gdcm.PhotometricInterpretation.GetPIType(layout["photometric_interpretation"])
    image.SetPhotometricInterpretation(gdcm.PhotometricInterpretation(kind))
    if layout["samples_per_pixel"] > 1:
        image.SetPlanarConfiguration(layout["planar_configuration"])
    syntax = gdcm.TransferSyntax.GetTSType(layout["transfer_syntax"])
    image.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    bits = layout["bits_stored"]
    image.SetPixelFormat(
        gdcm.PixelFormat(
            layout["samples_per_pixel"], layout["bits_allocated"], bits, bits - 1, layout["pixel_representation"]
        )
    )
    samples = image.GetBuffer()
    return None if samples is None else samples.encode("utf-8", "surrogateescape")  # char* comes back as str


def main() -> None:
    """Answer requests until standard input ends."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # it may abort often; nobody wants its dumps, least of all PHI
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while line := requests.readline():
        layout = json.loads(line)
        samples = decode(requests.read(layout["bytes"]), layout)
        answers.write((-1 if samples is None else len(samples)).to_bytes(8, "little", signed=True))
        answers.write(samples or b"")
        answers.flush()


if __name__ == "__main__":
    main()
