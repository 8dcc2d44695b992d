"""How loaded the machine is and what that costs: sources of readings, one small class for each, and the thread that
asks them (`meter`). What nothing here can read is "not measurable here", never an estimate.

| Module | What |
|---|---|
| `source`, `here` | what a source is; which there may be on this system |
| `load` | processor, memory, and a battery's charge, on every system |
| `rapl`, `hwmon`, `supply`, `temperature` | Linux, each given the root of the file system |
| `rails`, `discharge`, `npu`, `zones`, over `pdh` | Windows |
| `traces`, `edges`, `uncertainty`, `account` | from readings to joules a token |
"""
