"""What a notebook shows of a dashboard: its page in a frame where the browser can reach it, else a picture.

Which of them is decided in the browser, which alone knows: by the proxy of jupyter-server-proxy, in the folder
`proxy/PORT/` of the Jupyter server, where that is installed; else directly, where the notebook is open at localhost. In
another program, in a notebook that is handed on, and once the server has ended, the picture stays.
"""

import base64
import html
import json
import secrets
import sys
from urllib.parse import urlencode

from attribution.access.middleware import HEALTH
from attribution.inputs import names
from attribution.notebook.server import Server, jupyter_origins

SCRIPT = """
(async () => {
  const [picture, frame] = document.getElementById(%(id)s).children;
  const port = %(port)d, health = %(health)s.slice(1);
  const reached = async (url, options) => { try { return await fetch(url, options); } catch { return null; } };
  let base;
  try { base = JSON.parse(document.getElementById("jupyter-config-data").textContent).baseUrl; } catch { return; }
  let home = new URL(`${base}proxy/${port}/`, location.href);
  const answer = await reached(home + health);
  if (!answer || !answer.ok || (await answer.text()) !== "ok") {
    if (!%(origins)s.includes(location.origin)) return;
    home = new URL(`http://${location.hostname}:${port}/`);
    if (!(await reached(home + health, { mode: "no-cors" }))) return;
  }
  frame.src = home + %(query)s;
  frame.hidden = false;
  picture.hidden = true;
})();
"""


def in_notebook() -> bool:
    """Whether this process is a notebook's kernel, whose output can show HTML."""
    return kernel_shell() is not None


def kernel_shell():
    """IPython's shell where it is a kernel's, else None. IPython is not imported: where it runs, it has been."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell if getattr(shell, "kernel", None) is not None else None


def frame_html(server: Server, query: dict, picture: bytes, text: str, height: int) -> str:
    """HTML with the picture (PNG), said as `text`, and a script that puts a frame with the server's page in its place
    where the browser can reach it. query: of the page. height: of the frame, in pixels."""
    name = f"lineup-{secrets.token_hex(6)}"
    asked = urlencode({**query, "once": server.new_code()}, doseq=True)
    script = SCRIPT % {
        "id": _script_text(name),
        "port": server.port,
        "health": _script_text(HEALTH),
        "origins": _script_text(jupyter_origins()),
        "query": _script_text(f"?{asked}"),
    }
    return (
        f'<div id="{name}">{picture_html(picture, text)}<iframe title="Lineup" hidden width="100%" '
        f'height="{int(height)}" style="border:1px solid #ccc"></iframe></div><script>{script}</script>'
    )


def picture_html(picture: bytes, text: str) -> str:
    """An element with a picture (PNG), said as `text`."""
    url = "data:image/png;base64," + base64.b64encode(picture).decode()
    return f'<img alt="{html.escape(names.visible(text))}" src="{url}" style="max-width:100%">'


def _script_text(value) -> str:
    """A value as JavaScript that ends no script element."""
    return json.dumps(value).replace("<", "\\u003c")
