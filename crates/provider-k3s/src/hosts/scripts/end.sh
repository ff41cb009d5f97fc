say end ok
