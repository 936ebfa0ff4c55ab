"""MLServer: a runtime of one's own, which its documentation asks for where the one for scikit-learn does not do.

That one takes arrays alone. This one makes what the pipeline was fitted on with MLServer's own codecs.
"""

import json
import os
import pickle
from pathlib import Path

from mlserver import MLModel
from mlserver.codecs import NumpyCodec, PandasCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

DESCRIPTION = json.loads(Path(os.environ["BENCH_DESCRIPTION"]).read_text(encoding="utf-8"))


class Runtime(MLModel):
    async def load(self) -> bool:
        self.pipeline = pickle.loads(Path(os.environ["BENCH_PIPELINE"]).read_bytes())  # noqa: ASYNC240 - nobody waits
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        match DESCRIPTION["kind"]:
            case "columns":
                rows = PandasCodec.decode_request(payload)
            case "texts":
                rows = StringCodec.decode_input(payload.inputs[0])
            case _:
                rows = NumpyCodec.decode_input(payload.inputs[0])
        predictions = self.pipeline.predict(rows).tolist()
        output = StringCodec.encode_output("predict", predictions)
        return InferenceResponse(model_name=self.name, outputs=[output])
