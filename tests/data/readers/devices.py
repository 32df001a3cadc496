"""Write device files that follow the public descriptions of their formats."""

from __future__ import annotations

import io
import struct
import zipfile
from datetime import UTC, datetime
from functools import reduce
from operator import xor

import numpy as np

START = 1581498217  # unix seconds
_TICKS = 62_135_596_800  # seconds from the year 1 to 1970


def _packed_time(second: int) -> int:
    at = datetime.fromtimestamp(second, UTC)
    date = (at.year - 2000) << 26 | at.month << 22 | at.day << 17
    return date | at.hour << 12 | at.minute << 6 | at.second


def cwa(
    times: np.ndarray, signal: np.ndarray, nominal: int = 100, bits: int = 16, axes: int = 3, start: float = START
) -> bytes:
    """An Axivity file.

    Args:
        times: Times ``(n,)`` in seconds after ``start``, evenly spaced within a block.
        signal: Signal ``(n, 3)`` in g.
        nominal: Nominal sampling rate in Hz.
        bits: Bits per number: 16 (in units of 1/32768 g) or 10 (in units of 1/256 g).
        axes: Number of axes: 3, or 6 with a gyroscope.
        start: Start in Unix seconds.
    """
    code = 15 - int(np.log2(3200 / nominal)) | 64
    size = {(10, 3): 120, (16, 3): 80, (16, 6): 40}[bits, axes]
    header = bytearray(1024)
    struct.pack_into("<2sHBH", header, 0, b"MD", 1020, 0x64 if axes == 6 else 0x17, 12345)
    header[36] = code
    blocks = [bytes(header)]
    for number, first in enumerate(range(0, len(times), size)):
        at = start + times[first]
        fraction = int((at % 1) * 2**15) * 2  # of 2 ** 16
        count = min(size, len(times) - first)
        block = bytearray(512)
        light = 0 if bits == 10 else 7 << 13
        layout = axes << 4 | (0 if bits == 10 else 2)
        struct.pack_into("<2sHHIII", block, 0, b"AX", 508, 0x8000 | fraction >> 1, 1, number, _packed_time(int(at)))
        struct.pack_into("<HHBBBBhH", block, 18, light, 0, 0, 0, code, layout, -(fraction * nominal >> 16), count)
        values = np.round(signal[first : first + count] * (256 if bits == 10 else 32768)).astype(np.int64)
        block[30 : 30 + len(_stored(values, bits, axes))] = _stored(values, bits, axes)
        total = sum(struct.unpack("<255H", block[:510]))
        struct.pack_into("<H", block, 510, -total & 0xFFFF)
        blocks.append(bytes(block))
    return b"".join(blocks)


def _stored(values: np.ndarray, bits: int, axes: int) -> bytes:
    if bits == 10:
        words = []
        for row in values.tolist():
            exponent = next(e for e in range(4) if all(-512 <= value >> e < 512 for value in row))
            x, y, z = (value >> exponent & 0x3FF for value in row)
            words.append(exponent << 30 | z << 20 | y << 10 | x)
        return struct.pack(f"<{len(words)}I", *words)
    turning = np.full((len(values), axes - 3), 7)
    return np.concatenate([turning, values], axis=1).astype("<i2").tobytes()


def geneactiv(
    pages: list[np.ndarray], rate: float = 50, zone: str = "GMT +00:00", start: float = START, step_s: float = 0.0
) -> bytes:
    """A GENEActiv file.

    Args:
        pages: Counts ``(300, 3)`` of each page, in 1/256 g; z is stored with an offset.
        rate: Sampling rate in Hz.
        zone: Time zone of the device clock.
        start: Start in Unix seconds.
        step_s: Time between the starts of pages in seconds; 0: the length of a page.
    """
    lines = [line for section in _header(rate, zone, len(pages)) for line in (*section, "")]
    for number, counts in enumerate(pages):
        at = datetime.fromtimestamp(start + number * (step_s or len(counts) / rate), UTC)
        time = f"{at:%Y-%m-%d %H:%M:%S}:{at.microsecond // 1000:03d}"
        lines += ["Recorded Data", "Device Unique Serial Code:1", f"Sequence Number:{number}", f"Page Time:{time}"]
        lines += ["Unassigned:", "Temperature:21.5", "Battery voltage:4.1", "Device Status:Recording"]
        stored = counts - [0, 0, 256]
        digits = [f"{x & 0xFFF:03X}{y & 0xFFF:03X}{z & 0xFFF:03X}ABC" for x, y, z in stored.tolist()]
        lines += [f"Measurement Frequency:{rate}", "".join(digits)]
    return "".join(f"{line}\r\n" for line in lines).encode()


def _header(rate: float, zone: str, pages: int) -> list[list[str]]:
    """Sections of the header. Their number of lines is fixed, because some readers count lines."""
    device = ["Unique Serial Code:1", "Type:GENEActiv", "Model:1.1", "Firmware Version:Ver4.08a date14Jul14"]
    abilities = ["Accelerometer Range:-8 to 8", "Accelerometer Resolution:0.0039", "Accelerometer Units:g"]
    abilities += ["Light Meter Range:0 to 5000", "Light Meter Resolution:5", "Light Meter Units:lux"]
    abilities += ["Temperature Sensor Range:0 to 70", "Temperature Sensor Resolution:0.1"]
    trial = ["Study Centre", "Study Code", "Investigator ID", "Exercise Type", "Config Operator ID", "Config Time"]
    trial += ["Config Notes", "Extract Operator ID", "Extract Time", "Extract Notes"]
    subject = ["Device Location Code", "Subject Code", "Date of Birth", "Sex", "Height", "Weight", "Handedness Code"]
    times = ["Measurement Period:1 Hours", "Start Time:2020-02-12 09:03:37:000", f"Time Zone:{zone}"]
    gains = ["x gain:25600", "x offset:0", "y gain:25600", "y offset:0", "z gain:25600", "z offset:-25600"]
    return [
        ["Device Identity", *(f"Device {line}" for line in device), "Calibration Date:2019-02-04 13:49:24:000"],
        ["Device Capabilities", *abilities, "Temperature Sensor Units:deg. C"],
        ["Configuration Info", f"Measurement Frequency:{rate} Hz", *times],
        ["Trial Info", *(f"{name}:" for name in trial)],
        ["Subject Info", *(f"{name}:" for name in subject), "Subject Notes:"],
        ["Calibration Data", *gains, "Volts:42", "Lux:886"],
        ["Memory Status", f"Number of Pages:{pages}"],
    ]


def archive(**members: bytes) -> bytes:
    """A zip archive; ``_`` in a name stands for a dot."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name.replace("_", "."), content)
    return buffer.getvalue()


def info(rate: int, **others: object) -> bytes:
    """``info.txt`` of an ActiGraph; ``_`` in a name stands for a space."""
    values = {
        "Serial Number": "MOS2D12345678",
        "Sample Rate": rate,
        "Start Date": (START + _TICKS) * 10**7,
        **{name.replace("_", " "): value for name, value in others.items()},
    }
    return "".join(f"{name}: {value}\r\n" for name, value in values.items()).encode()


def record(kind: int, second: int, payload: bytes) -> bytes:
    """A record of ``log.bin`` for the second ``second`` after the start."""
    content = struct.pack("<BBIH", 0x1E, kind, START + second, len(payload)) + payload
    return content + bytes([~reduce(xor, content) & 0xFF])


def bits12(values: np.ndarray) -> bytes:
    """Pack numbers in 12 bits each, most significant bit first."""
    bits = np.unpackbits(values.reshape(-1, 1).astype(">i2").view(np.uint8), axis=1)[:, 4:]
    return np.packbits(bits).tobytes()


def counts_of(second: int, rate: int) -> np.ndarray:
    """Counts ``(rate, 3)`` at rest in 1/256 g: x is the number of the second, y is 0.1 g and z is 1 g."""
    at = second + np.arange(rate) / rate
    return np.stack([at, 25.6 + 0 * at, 256 + 0 * at], 1).round().astype(np.int64)


def gt3x(seconds: int, rate: int = 30, drop: tuple[int, ...] = (), kind: int = 0, **others: object) -> bytes:
    """An ActiGraph archive with a record of parameters and one of activity per second.

    Args:
        seconds: Length of the recording in seconds.
        rate: Sampling rate in Hz.
        drop: Numbers of the seconds without a record.
        kind: Type of the records: 0 and 27 have 12 bits, 26 has 16.
        others: Further lines of ``info.txt``.
    """
    scale = 9 << 24 | 0x400000  # 256 counts per g, as exponent and significand: 0.5 * 2 ** 9
    log = record(21, 0, struct.pack("<HHIHHI", 1, 10, rate, 0, 55, scale))
    for second in range(seconds):
        if second not in drop:
            counts = counts_of(second, rate)
            order = [1, 0, 2] if kind == 0 else [0, 1, 2]
            log += record(kind, second, counts.astype("<i2").tobytes() if kind == 26 else bits12(counts[:, order]))
    return archive(log_bin=log, info_txt=info(rate, **others))


def old_gt3x(counts: np.ndarray, rate: int = 30, **others: object) -> bytes:
    """An archive of a GT3X+ with ``activity.bin``: counts ``(n, 3)`` of 1/341 g."""
    return archive(
        activity_bin=bits12(counts[:, [1, 0, 2]]),
        info_txt=info(rate, Serial_Number="NEO1C16110020", **others),
        log_txt=b"",
    )
