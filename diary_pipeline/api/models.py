"""What goes over the wire of the job API, as it is documented and checked."""

from pydantic import BaseModel, ConfigDict


class Said(BaseModel):
    """Something that a client sends: a field that nobody knows is refused."""

    model_config = ConfigDict(extra="forbid")
