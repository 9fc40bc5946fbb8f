"""What the daemon sees and learns, told to an MQTT broker and to Home Assistant; and commands that come from there."""
