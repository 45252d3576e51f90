from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from assay.worlds.isolation import order

texts = st.lists(st.text(max_size=5), max_size=3)


@given(
    st.builds(
        order.Order,
        entry=st.text(max_size=5),
        argv=texts,
        payload=st.binary(max_size=50),
        env=st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=3),
        work=st.text(max_size=5),
        binds=st.lists(st.tuples(st.text(max_size=5), st.text(max_size=5)), max_size=3),
        processes=st.integers(0, 2**31),
        output_bytes=st.integers(0, 2**31),
        wall_s=st.floats(0, 1e6),
    )
)
def test_an_order_arrives_as_it_was_sent(sent: order.Order) -> None:
    assert order.read_order(order.pack(sent)) == sent


@given(st.builds(order.Setting, confine=st.sampled_from(["tree", "nested"]), parent=st.integers(0, 2**22), python_path=texts, preload=texts))  # fmt: skip
def test_a_setting_arrives_as_it_was_sent(sent: order.Setting) -> None:
    assert order.read_setting(order.pack(sent)) == sent
