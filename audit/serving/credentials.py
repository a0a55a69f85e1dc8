"""Content credentials (C2PA) that an image's file carries, in one sentence.

Enters: a file's bytes. Leaves: what its manifest claims and whether its signature holds, or "".

Runs in the process that decodes images, which has no network: a manifest that lies elsewhere is not fetched.
Why the sentence says "claims": a credential says who signed what, not that the face is real.
Source: C2PA Technical Specification 2.1, section 15 (validation).
"""

from __future__ import annotations

import io
import json
from typing import Any

_GENERATED = ("trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia")
_FORMATS = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG": "image/png",
    b"RIFF": "image/webp",
    b"II*\0": "image/tiff",
    b"MM\0*": "image/tiff",
}
_MARKS = (b"c2pa", b"jumb")
_MAX = 120


def prepare() -> None:
    """Load the library, while there is a disk to read it from."""
    import c2pa

    c2pa.load_settings('{"verify": {"remote_manifest_fetch": false, "ocsp_fetch": false}}')


def describe(data: bytes) -> str:
    """What the credentials of an image say, or "" where it carries none."""
    kind = next((name for start, name in _FORMATS.items() if data.startswith(start)), None)
    if kind is None or not any(mark in data for mark in _MARKS):
        return ""
    import c2pa

    try:
        with c2pa.Reader(kind, io.BytesIO(data)) as reader:
            return _sentence(json.loads(reader.json()))
    except Exception as error:  # of native code, given any bytes
        return f"The file carries content credentials that cannot be read ({_short(error)})."


def _sentence(store: dict[str, Any]) -> str:
    active = store.get("manifests", {}).get(store.get("active_manifest"), {})
    maker = active.get("claim_generator_info") or [{}]
    name = maker[0].get("name") or active.get("claim_generator") or "an unnamed program"
    signer = (active.get("signature_info") or {}).get("issuer")
    faults = [each.get("code", "") for each in store.get("validation_status") or []]
    text = json.dumps(active)
    made = (
        " It claims that the picture was made by a generator." if any(w in text for w in _GENERATED) else ""
    )
    signed = f", signed by {_short(signer)}" if signer else ""
    held = (
        f" The signature is not to be trusted here ({', '.join(sorted(set(faults)))[:_MAX]})."
        if faults
        else " The signature holds."
    )
    told = f"The file claims to be written by {_short(name)}{signed}.{made}{held}"
    return f"{told} This says who signed it, not that the face is real."


def _short(value: object) -> str:
    return " ".join(str(value).split())[:_MAX]
