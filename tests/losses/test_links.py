"""Links: their forms agree, and give what scipy says."""

import numpy as np
import pytest
import torch
from scipy.special import expit, softmax

from skfm.losses import links

SCORES = np.random.default_rng(0).normal(size=(30, 3), scale=4)
LINKS = {
    "identity": (links.IDENTITY, SCORES, SCORES),
    "log": (links.LOG, SCORES, np.exp(SCORES)),
    "logit": (links.LOGIT, SCORES, expit(SCORES)),
    "binary_logit": (
        links.BINARY_LOGIT,
        SCORES[:, :1],
        np.column_stack([expit(-SCORES[:, 0]), expit(SCORES[:, 0])]),
    ),
    "softmax": (links.SOFTMAX, SCORES, softmax(SCORES, axis=1)),
}
each_link = pytest.mark.parametrize(
    ("link", "scores", "expected"), LINKS.values(), ids=LINKS
)


@each_link
def test_forms_agree(link, scores, expected):
    np.testing.assert_allclose(link.numpy(scores), expected, rtol=1e-12)
    leaf = torch.from_numpy(scores).requires_grad_()
    predictions = link.torch(leaf)
    np.testing.assert_allclose(predictions.detach(), expected, rtol=1e-12)
    assert expected.shape[1] == link.n_columns(scores.shape[1])
    assert torch.autograd.gradcheck(link.torch, leaf)


@each_link
def test_onnx_form(link, scores, expected):
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    helper, nodes = onnx.helper, []

    class Graph:
        def node(self, kind, inputs, output, **attributes):
            nodes.append(helper.make_node(kind, inputs, [output], **attributes))
            return output

    result = link.onnx(Graph(), "scores")
    nodes.append(helper.make_node("Identity", [result], ["predictions"]))
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "link",
        [value("scores", onnx.TensorProto.DOUBLE, ["rows", scores.shape[1]])],
        [value("predictions", onnx.TensorProto.DOUBLE, ["rows", expected.shape[1]])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    onnx.checker.check_model(model)
    (found,) = reference.ReferenceEvaluator(model).run(None, {"scores": scores})
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["logit", "binary_logit", "softmax"])
def test_probabilities_stay_inside_of_their_bounds(name):
    link = LINKS[name][0]
    scores = np.array([[-1e4], [1e4]]) if name != "softmax" else np.eye(2) * 1e4
    p = [link.numpy(scores), link.torch(torch.from_numpy(scores)).numpy()]
    np.testing.assert_allclose(*p, rtol=1e-12)
    assert link.gives_probabilities
    assert (p[0] > 0).all()
    assert (p[0] < 1).all()
