"""What every route needs: the studio behind it, and bodies that are not JSON."""

from typing import Annotated

from fastapi import Depends, Path, Request

from triptych.studio.errors import StudioError
from triptych.studio.files import MAX_UPLOAD_BYTES
from triptych.studio.studio import Studio

__all__ = ["BINARY_BODY", "Bytes", "Id", "TheStudio"]

BINARY_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""How the OpenAPI document tells of a body that is a file."""

Id = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[\w-]+$")]


def _studio(request: Request) -> Studio:
    return request.app.state.studio


async def _bytes(request: Request) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > MAX_UPLOAD_BYTES:
            raise StudioError(
                f"the file has more than {MAX_UPLOAD_BYTES // 2**20} MiB. Save it smaller.",
                code="too_large",
                status=413,
            )
    return bytes(data)


TheStudio = Annotated[Studio, Depends(_studio)]
Bytes = Annotated[bytes, Depends(_bytes)]
