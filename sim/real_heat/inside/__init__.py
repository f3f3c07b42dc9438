"""What runs on the Python of the Heat environment. Imports Heat; of this project only `sim.heat.catalogue`."""
