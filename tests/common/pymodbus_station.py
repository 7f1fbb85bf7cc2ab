"""A PLC of pymodbus's simulator with a number in every kind of register; argument: a TCP port, or a serial device."""

import asyncio
import struct
import sys

from pymodbus.framer import FramerType
from pymodbus.server import StartAsyncSerialServer, StartAsyncTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice


def words(fmt, number, order):
    """The words of a number, big-endian, and then as the order has it."""
    data = struct.pack(">" + fmt, number)
    pairs = [data[at : at + 2] for at in range(0, len(data), 2)]
    if order in ("BADC", "DCBA"):
        pairs = [pair[::-1] for pair in pairs]
    if order in ("CDAB", "DCBA"):
        pairs.reverse()
    return [int.from_bytes(pair, "big") for pair in pairs]


ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")
holding = []
for order in ORDERS:
    for fmt, number in (("f", 123.456), ("d", -98765.4321), ("I", 4_000_000_000), ("i", -70_000)):
        holding += words(fmt, number, order)
holding += [65_535, 0b1000]
registers = SimData(100, values=holding, datatype=DataType.REGISTERS)
inputs = SimData(7, values=[1, 65_534, 3], datatype=DataType.REGISTERS)
coils = SimData(20, values=[True, False, True], datatype=DataType.BITS)
discrete = SimData(30, values=[False, True], datatype=DataType.BITS)
device = SimDevice(3, simdata=([coils], [discrete], [registers], [inputs]))
place = sys.argv[1]
if place.isdigit():
    asyncio.run(StartAsyncTcpServer(device, address=("127.0.0.1", int(place))))
else:
    asyncio.run(StartAsyncSerialServer(device, port=place, baudrate=19200, framer=FramerType.RTU))
