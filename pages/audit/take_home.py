def draw(ws, log, who): pass
