from responder.domain.values import JsonObject
from responder.web.reference import Part, Type, operations, schemas

DOCUMENT: JsonObject = {
    "paths": {
        "/things": {
            "post": {
                "summary": "Make one.",
                "description": "Needs a token.",
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/In"}}}
                },
                "responses": {
                    "201": {
                        "content": {
                            "application/json": {
                                "schema": {
                                    "type": "array",
                                    "items": {"$ref": "#/components/schemas/Out"},
                                }
                            }
                        }
                    },
                    "400": {},
                },
            },
            "get": {"responses": {"200": {"content": {"text/markdown": {}}}}},
        }
    },
    "components": {
        "schemas": {
            "In": {
                "description": "A wish.",
                "required": ["name"],
                "properties": {
                    "name": {"type": "string", "description": "Its name."},
                    "when": {
                        "anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]
                    },
                    "how": {"enum": ["a", "b"]},
                    "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                },
            }
        }
    },
}


def test_an_operation_says_what_it_takes_and_answers() -> None:
    made, got = operations(DOCUMENT)
    assert (made.method, made.path, made.summary) == ("POST", "/things", "Make one.")
    assert made.takes == Type((Part("In", is_model=True),))
    assert made.answers == (("201", Type((Part("list of "), Part("Out", is_model=True)))),)
    assert (got.takes, got.answers) == (None, (("200", Type((Part("text/markdown"),))),))


def test_a_model_lists_its_fields_in_words() -> None:
    (model,) = schemas(DOCUMENT)
    assert (model.name, model.note) == ("In", "A wish.")
    said = {field.name: (field.type.words, field.is_required) for field in model.fields}
    assert said == {
        "name": ("text", True),
        "when": ("date-time or null", False),
        "how": ("a | b", False),
        "labels": ("object of text", False),
    }
