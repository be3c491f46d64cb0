"""For technicians: boards on this machine's serial ports. Flashing and provisioning come with the station."""
