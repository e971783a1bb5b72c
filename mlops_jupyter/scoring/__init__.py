"""The scoring server: ``python -m mlops_jupyter.scoring WORKSPACE --name N --model M``.

``server`` is the process, ``endpoints`` the ASGI app; ``invocations`` (MLflow's) and
``open_inference`` (V2) read and answer the protocols over what ``payload``, ``signature`` and
``datatypes`` check; ``predictor`` holds the model; ``figures`` and ``openapi`` describe it all.
"""
