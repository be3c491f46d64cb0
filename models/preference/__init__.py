"""What guests like, learnt from what they did: data, training, quantising, evaluation and the model's card.

Imports `steward.domain` only. The gateway runs the files that come out of here and never imports this package.
"""
