"""How loaded the machine is and what that costs: sources of readings, one small class for each, and the thread that
asks them (`meter`). What nothing here can read is "not measurable here", never an estimate."""
