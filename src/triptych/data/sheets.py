"""Contact sheets: many pages in one picture, to look at."""

from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

from triptych.page import Page

__all__ = ["contact_sheet"]


def _row(page: Page, cell_px: int, caption: bool) -> Image.Image:
    panels = page.all_panels
    height = cell_px + (14 if caption else 0)
    row = Image.new("RGB", (max(1, len(panels)) * (cell_px + 4) + 4, height + 4), (120, 120, 128))
    pen = ImageDraw.Draw(row)
    for index, panel in enumerate(panels):
        left = 4 + index * (cell_px + 4)
        if panel.picture is not None:
            row.paste(panel.picture.resize((cell_px, cell_px), Image.Resampling.LANCZOS), (left, 2))
        if panel.is_slot:
            pen.rectangle((left - 2, 0, left + cell_px + 1, cell_px + 3), outline=(250, 200, 40), width=2)
    if caption:
        words = " | ".join(panel.instruction for panel in page.panels if panel.instruction) or page.overview
        pen.text((4, cell_px + 4), words, fill=(255, 255, 255), font=ImageFont.load_default(10))
    return row


def contact_sheet(pages: Sequence[Page], *, columns: int = 3, cell_px: int = 96, caption: bool = True) -> Image.Image:
    """Pages as rows of panels, slots framed in yellow and showing their answers, example pages behind their page."""
    rows = [_row(page, cell_px, caption) for page in pages]
    width, height = max(row.width for row in rows), max(row.height for row in rows)
    lines = -(-len(rows) // columns)
    sheet = Image.new("RGB", (width * columns + 4 * (columns - 1), height * lines), (70, 70, 76))
    for index, row in enumerate(rows):
        sheet.paste(row, ((index % columns) * (width + 4), (index // columns) * height))
    return sheet
