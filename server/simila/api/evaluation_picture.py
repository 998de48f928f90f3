"""An evaluation as a picture: the confusion matrix and the reliability diagram side by side."""

import io
from collections.abc import Callable
from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from simila.services.evaluation import EvaluationReport

INK, QUIET, GRID = (32, 36, 44), (110, 116, 128), (222, 225, 231)
FULL, GAP = (31, 92, 168), (222, 120, 60)
MARGIN = 28
TITLE_PIXELS, TEXT_PIXELS, SMALL_PIXELS = 22, 15, 13
MOST_LABELLED = 40
MATRIX_PIXELS = 760
LARGEST_CELL_PIXELS, SMALLEST_NUMBERED_PIXELS = 64, 26
DIAGRAM_PIXELS = 380
MOST_LABEL_CHARACTERS = 24
TICKS = 5


def evaluation_picture(report: EvaluationReport, title: str) -> bytes:
    """PNG of an evaluation; above `MOST_LABELLED` classes the matrix has neither labels nor numbers."""
    matrix, diagram = _matrix(report), _diagram(report)
    width = max(matrix.width + diagram.width + 3 * MARGIN, 900)
    top = MARGIN + 2 * TITLE_PIXELS + MARGIN
    picture = Image.new("RGB", (width, top + max(matrix.height, diagram.height) + MARGIN), "white")
    draw = ImageDraw.Draw(picture)
    draw.text((MARGIN, MARGIN), title, INK, _font(TITLE_PIXELS))
    draw.text((MARGIN, MARGIN + TITLE_PIXELS + 10), _summary(report), QUIET, _font(TEXT_PIXELS))
    picture.paste(matrix, (MARGIN, top))
    picture.paste(diagram, (matrix.width + 2 * MARGIN, top))
    file = io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    return file.getvalue()


def _summary(report: EvaluationReport) -> str:
    figures, held_out = report.evaluation, report.how.held_out
    protocol = "leave-one-out" if held_out is None else f"{held_out:.0%} held out"
    parts = [
        f"{int(figures.support.sum())} items, {protocol}",
        f"accuracy {figures.accuracy:.1%}",
        f"macro-F1 {figures.macro_f1:.3f}",
    ]
    if report.open_set:
        parts.append(f"open-set AUROC {report.open_set.auroc:.3f}")
    return "   ·   ".join(parts)


def _matrix(report: EvaluationReport) -> Image.Image:
    classes = len(report.labels)
    cell = max(1, min(LARGEST_CELL_PIXELS, MATRIX_PIXELS // classes))
    is_labelled = classes <= MOST_LABELLED
    names = [_shortened(label) for label in report.labels] if is_labelled else []
    font = _font(min(TEXT_PIXELS, cell))
    gutter = 2 * TEXT_PIXELS + int(max((font.getlength(name) for name in names), default=0))
    # The caption below is longer than few cells are wide.
    picture = Image.new("RGB", (gutter + max(classes * cell, 240) + 1, classes * cell + gutter + TEXT_PIXELS), "white")
    draw = ImageDraw.Draw(picture)
    _draw_cells(draw, report, cell, gutter)
    for position, name in enumerate(names):
        middle = (position + 0.5) * cell
        draw.text((gutter - 8, middle), name, INK, font, anchor="rm")
        _draw_upright(picture, name, (int(gutter + middle), classes * cell + 8), font)
    caption = "true class by row, predicted by column; colour is the share of the row"
    caption_font = _font(SMALL_PIXELS)
    top = classes * cell + gutter - TEXT_PIXELS
    draw.text((gutter, top), caption.split("; ", maxsplit=1)[0], QUIET, caption_font)
    draw.text((gutter, top + SMALL_PIXELS + 3), caption.split("; ")[1], QUIET, caption_font)
    return picture


def _draw_cells(draw: ImageDraw.ImageDraw, report: EvaluationReport, cell: int, left: int) -> None:
    counts = report.evaluation.confusion
    shares = counts / np.maximum(report.evaluation.support, 1)[:, np.newaxis]
    font = _font(min(TEXT_PIXELS, cell // 2))
    has_lines = cell > 4
    for row, column in np.argwhere(counts >= 0 if has_lines else counts > 0).tolist():
        share = float(shares[row, column])
        corner = (left + column * cell, row * cell)
        box = (*corner, corner[0] + cell, corner[1] + cell)
        draw.rectangle(box, _blended(FULL, share), GRID if has_lines else None)
        if counts[row, column] and cell >= SMALLEST_NUMBERED_PIXELS:
            middle = (corner[0] + cell / 2, corner[1] + cell / 2)
            draw.text(middle, str(counts[row, column]), "white" if share > 0.5 else INK, font, anchor="mm")


def _draw_upright(
    picture: Image.Image, text: str, top_middle: tuple[int, int], font: ImageFont.FreeTypeFont | ImageFont.ImageFont
) -> None:
    left, _, right, bottom = font.getbbox(text)
    line = Image.new("RGB", (int(right - left) + 2, int(bottom) + 4), "white")
    ImageDraw.Draw(line).text((0, 0), text, INK, font)
    turned = line.rotate(90, expand=True)
    picture.paste(turned, (top_middle[0] - turned.width // 2, top_middle[1]))


def _diagram(report: EvaluationReport) -> Image.Image:
    left, bottom = 48, 64
    picture = Image.new("RGB", (left + DIAGRAM_PIXELS + 16, DIAGRAM_PIXELS + bottom + 30), "white")
    draw = ImageDraw.Draw(picture)
    font, small = _font(TEXT_PIXELS), _font(SMALL_PIXELS)
    draw.text((left, 0), f"Reliability: calibration error {report.calibration.error:.3f}", INK, font)

    def at(x: float, y: float) -> tuple[float, float]:
        return left + x * DIAGRAM_PIXELS, 26 + (1 - y) * DIAGRAM_PIXELS

    for tick in np.linspace(0, 1, TICKS + 1).tolist():
        draw.line((at(0, tick), at(1, tick)), GRID)
        draw.text((left - 8, at(0, tick)[1]), f"{tick:.1f}", QUIET, small, anchor="rm")
        draw.text((at(tick, 0)[0], at(0, 0)[1] + 8), f"{tick:.1f}", QUIET, small, anchor="mt")
    _draw_bins(draw, report, at)
    draw.line((at(0, 0), at(1, 1)), QUIET, 2)
    draw.rectangle((*at(0, 1), *at(1, 0)), outline=QUIET)
    below = at(0, 0)[1] + 28
    draw.text((left, below), "confidence (across) and accuracy (up)", QUIET, small)
    draw.text((left, below + SMALL_PIXELS + 5), "bars: accuracy; orange: distance to confidence", QUIET, small)
    return picture


def _draw_bins(
    draw: ImageDraw.ImageDraw, report: EvaluationReport, at: Callable[[float, float], tuple[float, float]]
) -> None:
    calibration = report.calibration
    bins = len(calibration.counts)
    for position in np.flatnonzero(calibration.counts).tolist():
        accuracy, confidence = float(calibration.accuracies[position]), float(calibration.confidences[position])
        left, right = position / bins, (position + 1) / bins
        draw.rectangle((*at(left, accuracy), *at(right, 0)), _blended(FULL, 0.55), "white")
        low, high = sorted((accuracy, confidence))
        draw.rectangle((*at(left + 0.3 / bins, high), *at(right - 0.3 / bins, low)), GAP)


def _blended(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    """From white at 0 to the colour at 1."""
    red, green, blue = (round(255 + (channel - 255) * share) for channel in colour)
    return red, green, blue


def _shortened(label: str) -> str:
    return label if len(label) <= MOST_LABEL_CHARACTERS else f"{label[: MOST_LABEL_CHARACTERS - 1]}…"


@cache
def _font(pixels: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(max(1, pixels))
