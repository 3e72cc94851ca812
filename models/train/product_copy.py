"""The "copy" task: product attributes and a two sentence description.

The tone, one of the attributes, decides the wording, and the other attributes
fill it. So each attribute list has exactly one right description.
"""

import random
from dataclasses import dataclass

from examples import Example


@dataclass(frozen=True)
class Group:
    """A group of products with the values its attributes can have."""

    products: list[str]
    materials: list[str]
    features: list[str]
    uses: list[str]


def _list(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [item.strip() for item in text.split(",")]


BRANDS = _list(
    "Velora, Nordlicht, Brava, Kasimo, Tellmar, Ostera, Lumero, Hanseo, Ponto, Ravena, Domaro, Feldra, "
    "Arbona, Mirea, Solano, Tivola, Zarina, Elvaro, Gavia, Korvo"
)
COLOURS = _list("red, blue, green, yellow, black, white, grey, brown, orange, purple, silver, cream")
GROUPS = [
    Group(
        _list("kettle, toaster, teapot, saucepan, blender"),
        _list("steel, glass, ceramic, enamel"),
        _list("cool handle, quiet motor, wide spout, spare filter"),
        _list("small kitchens, large families, quick breakfasts, Sunday brunch"),
    ),
    Group(
        _list("desk, armchair, bookshelf, wardrobe, bench"),
        _list("oak, walnut, pine, bamboo"),
        _list("rounded corners, hidden storage, folding legs, soft cushions"),
        _list("home offices, narrow hallways, first flats, guest rooms"),
    ),
    Group(
        _list("jacket, backpack, tent, cap, scarf"),
        _list("wool, cotton, nylon, canvas"),
        _list("taped seams, secret pocket, reflective strips, dry lining"),
        _list("mountain hikes, rainy days, winter walks, weekend trips"),
    ),
    Group(
        _list("lantern, lamp, spotlight, chandelier, candlestick"),
        _list("brass, paper, copper, rattan"),
        _list("bright dimmer, motion sensor, swivel arm, long cord"),
        _list("evening reading, dinner tables, dark stairways, garden parties"),
    ),
]
WORDINGS = {
    "plain": "The {product} comes in {colour} {material}. With its {feature}, it is made for {use}.",
    "warm": "Feel at home with the {product} in {colour} {material}. You will love its {feature}, just right for {use}.",
    "bold": "Ready for {use}? Then meet the {product}! Nothing beats {colour} {material} and its {feature}.",
}
FILLED_LABELS = ["colour", "material", "feature", "use"]


@dataclass(frozen=True)
class Product:
    """A product: its full name, its tone and the values of all other attributes."""

    name: str
    tone: str
    values: dict[str, str]

    def spec(self, rng: random.Random) -> str:
        """All attributes on one line: product first, tone last, the rest in random order."""
        labels = rng.sample(FILLED_LABELS, len(FILLED_LABELS))
        middle = [f"{label}: {self.values[label]}" for label in labels]
        return "; ".join([f"product: {self.name}", *middle, f"tone: {self.tone}"])

    def description(self) -> str:
        """The description that the task asks for."""
        return WORDINGS[self.tone].format(product=self.name, **self.values)


def make_product(rng: random.Random) -> Product:
    """A random product."""
    group = rng.choice(GROUPS)
    values = {
        "colour": rng.choice(COLOURS),
        "material": rng.choice(group.materials),
        "feature": rng.choice(group.features),
        "use": rng.choice(group.uses),
    }
    name = f"{rng.choice(BRANDS)} {rng.choice(group.products)}"
    return Product(name, rng.choice(list(WORDINGS)), values)


def make_example(rng: random.Random) -> Example:
    """One attribute list with its description; product name and colour decide the split."""
    product = make_product(rng)
    return Example(product.spec(rng), product.description(), f"copy:{product.name}:{product.values['colour']}")


def covers_all_attributes(prompt: str, description: str) -> bool:
    """True where the description mentions every value of the prompt but the tone."""
    attributes = dict(part.split(": ", 1) for part in prompt.split("; "))
    return all(value in description for label, value in attributes.items() if label != "tone")
