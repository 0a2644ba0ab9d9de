"""Visits of a Lineup server without a browser: Streamlit's websocket and its messages, as its page speaks them."""

import json
import time

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.asyncio.client import ClientConnection, connect

from attribution.access.middleware import TokenCheck
from tests.browser.serving import SEEN, TOKEN

ENDS = (ForwardMsg.FINISHED_SUCCESSFULLY, ForwardMsg.FINISHED_FRAGMENT_RUN_SUCCESSFULLY)


class Session:
    """One visit, on the page at `path` with the parameters `query`. `async with` connects and draws it.

    film: the targets of the film on view; messages, size: how many messages the last script sent, and their bytes."""

    def __init__(self, url: str, query: str = "", path: str = ""):
        self.url = url.replace("http", "ws", 1) + "/_stcore/stream"
        self.query, self.path, self.page = query, path, ""
        self.socket: ClientConnection | None = None
        self.film: list[int] = []
        self.messages = self.size = 0
        self._picked = self._fragment = ""  # the widget that says which tile of the film was chosen, and where it is

    async def __aenter__(self) -> "Session":
        cookies = {TokenCheck(app=None, token=TOKEN, spend=bool).cookie.decode(): TOKEN} | dict.fromkeys(SEEN, "seen")
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self.socket = await connect(
            self.url, subprotocols=["streamlit"], additional_headers={"Cookie": cookie}, max_size=None, compression=None
        )
        await self.rerun()
        return self

    async def __aexit__(self, *_) -> None:
        await self.socket.close()

    async def rerun(self) -> float:
        """Runs the script as it is; seconds until it has ended."""
        return await self._run(self._message())

    async def pick(self, target: int) -> float:
        """Clicks on a target of the film; seconds until the script that this sets off has ended."""
        message = self._message()
        message.rerun_script.fragment_id = self._fragment
        state = message.rerun_script.widget_states.widgets.add(id=self._picked)
        state.json_trigger_value = json.dumps([{"event": "pick", "value": {"id": target, "row": "film", "rank": 1}}])
        return await self._run(message)

    def _message(self) -> BackMsg:
        message = BackMsg()
        message.rerun_script.query_string = self.query
        message.rerun_script.page_name = self.path
        message.rerun_script.page_script_hash = self.page
        return message

    async def _run(self, message: BackMsg) -> float:
        start = time.perf_counter()
        self.messages = self.size = 0
        await self.socket.send(message.SerializeToString())
        while True:
            data = await self.socket.recv()
            self.messages, self.size = self.messages + 1, self.size + len(data)
            answer = ForwardMsg.FromString(data)
            kind = answer.WhichOneof("type")
            if kind == "delta":
                self._note(answer)
            elif kind == "navigation":
                self.page = answer.navigation.page_script_hash
            elif kind == "page_info_changed":
                self.query = answer.page_info_changed.query_string
            elif kind == "script_finished":
                if answer.script_finished in ENDS:
                    return time.perf_counter() - start
                if answer.script_finished != ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    raise RuntimeError(f"the script ended with {answer.script_finished}")

    def _note(self, answer: ForwardMsg) -> None:
        element = answer.delta.new_element
        if element.WhichOneof("type") == "exception":
            raise RuntimeError(element.exception.message)
        if element.WhichOneof("type") != "bidi_component" or "-film" not in element.bidi_component.id:
            return
        drawn, self._fragment = element.bidi_component, answer.delta.fragment_id
        self._picked = f"$$STREAMLIT_INTERNAL_KEY_{drawn.id}__events"
        self.film = [tile["id"] for tile in json.loads(drawn.json or drawn.mixed.json)["rows"][0]["tiles"]]
