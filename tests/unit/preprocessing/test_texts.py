"""Token ids that callers give, and texts that are none. The ids of texts meet the reference in tests/parity."""

import pytest
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from simila.domain.errors import InvalidInput, ModelError
from simila.preprocessing.texts import TextRow, TextTokenizer

VOCABULARY = {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "red": 4, "cat": 5}
CLS, SEP, A, RED, CAT = 1, 2, 3, 4, 5


def write_tokenizer(path, template):
    tokenizer = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding(length=9)
    if template:
        tokenizer.post_processor = TemplateProcessing(single=template, special_tokens=[("[CLS]", CLS), ("[SEP]", SEP)])
    tokenizer.save(str(path))
    return path


@pytest.fixture
def tokenizer(tmp_path):
    return TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json", "[CLS] $A [SEP]"), 6)


@pytest.mark.parametrize(
    ("text", "ids", "tokens", "truncated"),
    [
        ("", (CLS, SEP), 2, False),
        ("a red cat", (CLS, A, RED, CAT, SEP), 5, False),
        ("a red red cat", (CLS, A, RED, RED, CAT, SEP), 6, False),
        ("a red red red cat", (CLS, A, RED, RED, RED, SEP), 7, True),
        ("a dog", (CLS, A, 0, SEP), 4, False),
    ],
)
def test_a_text_is_cut_at_the_context_length_whatever_the_file_says(tokenizer, text, ids, tokens, truncated):
    (row,) = tokenizer.rows_of_texts([text])
    assert row == TextRow(ids, tokens)
    assert row.truncated is truncated


def test_texts_keep_their_order(tokenizer):
    rows = tokenizer.rows_of_texts(["cat", "red cat", "a"])
    assert [row.ids for row in rows] == [(CLS, CAT, SEP), (CLS, RED, CAT, SEP), (CLS, A, SEP)]
    assert tokenizer.rows_of_texts([]) == []


def test_a_lone_surrogate_fails_alone(tokenizer):
    first, refused, last = tokenizer.rows_of_texts(["a cat", "a \ud800 cat", "cat"])
    assert isinstance(refused, InvalidInput)
    assert refused.message == "the text has a lone surrogate at character 2, which is no Unicode text"
    assert (first.ids, last.ids) == ((CLS, A, CAT, SEP), (CLS, CAT, SEP))


@pytest.mark.parametrize(
    ("given", "ids", "tokens"),
    [
        ((), (CLS, SEP), 2),
        ((CAT,), (CLS, CAT, SEP), 3),
        ((CLS, CAT, SEP), (CLS, CAT, SEP), 3),
        ((CLS, SEP), (CLS, SEP), 2),
        ((CLS,), (CLS, CLS, SEP), 3),
        ((CLS, CAT), (CLS, CLS, CAT, SEP), 4),
        ((CAT, SEP), (CLS, CAT, SEP, SEP), 4),
        ((A, A, A, A), (CLS, A, A, A, A, SEP), 6),
        ((A, A, A, A, CAT), (CLS, A, A, A, A, SEP), 7),
        ((CLS, A, A, A, A, CAT, SEP), (CLS, A, A, A, A, SEP), 7),
    ],
)
def test_given_ids_get_the_special_tokens_that_they_lack(tokenizer, given, ids, tokens):
    assert tokenizer.row_of_ids(given) == TextRow(ids, tokens)


def test_given_ids_are_the_row_of_their_text(tokenizer):
    (row,) = tokenizer.rows_of_texts(["a red red red cat"])
    assert tokenizer.row_of_ids((A, RED, RED, RED, CAT)) == row


@pytest.mark.parametrize(
    ("given", "position", "token"), [((CAT, 6), 1, 6), ((-1,), 0, -1), ((A, CAT, 2**63), 2, 2**63)]
)
def test_an_id_outside_the_vocabulary_is_named(tokenizer, given, position, token):
    with pytest.raises(InvalidInput) as refused:
        tokenizer.row_of_ids(given)
    assert refused.value.message == f"token {token} at position {position} is not in the vocabulary of 6 tokens"


def test_a_tokenizer_without_special_tokens(tmp_path):
    tokenizer = TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json", None), 3)
    assert tokenizer.rows_of_texts(["a red red cat"]) == [TextRow((A, RED, RED), 4)]
    assert tokenizer.row_of_ids((A,)) == TextRow((A,), 1)


def test_a_tokenizer_that_only_ends_a_text(tmp_path):
    tokenizer = TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json", "$A [SEP]"), 3)
    assert tokenizer.rows_of_texts(["a red cat"]) == [TextRow((A, RED, SEP), 4)]
    assert tokenizer.row_of_ids((A, SEP)) == TextRow((A, SEP), 2)


def test_one_token_is_not_both_ends_of_a_text(tmp_path):
    tokenizer = TextTokenizer(write_tokenizer(tmp_path / "tokenizer.json", "[SEP] $A [SEP]"), 6)
    assert tokenizer.row_of_ids((SEP,)) == TextRow((SEP, SEP, SEP), 3)
    assert tokenizer.row_of_ids((SEP, SEP)) == TextRow((SEP, SEP), 2)


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff"])
def test_a_file_that_cannot_be_read_is_named(tmp_path, content):
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=f"^the tokenizer {path} cannot be read: "):
        TextTokenizer(path, 6)
