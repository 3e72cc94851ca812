"""The "copy" task: product attributes and a one or two sentence description.

The product group decides the wording and the attributes fill it, so each
attribute list has exactly one right description.
"""

import random
from dataclasses import dataclass

from examples import Example


@dataclass(frozen=True)
class Group:
    """A group of products with its possible attributes and its wording.

    The wording fields are format strings over name, colour, material, size,
    feature and use. The second sentence depends on which of feature and use
    are given; with neither there is no second sentence.
    """

    products: list[str]
    materials: list[str]
    sizes: list[str]
    features: list[str]
    uses: list[str]
    opening: str
    size_clause: str
    both: str
    feature_only: str
    use_only: str


def _list(text: str) -> list[str]:
    """Split a comma-separated list."""
    return [item.strip() for item in text.split(",")]


BRANDS = _list(
    "Velora, Nordlicht, Brava, Kasimo, Tellmar, Ostera, Lumero, Hanseo, Ponto, Ravena, Silvio, "
    "Domaro, Feldra, Quinta, Arbona, Mirea, Solano, Tivola, Wendel, Zarina, Calmo, Elvaro, "
    "Fjordal, Gavia, Indra, Jolina, Korvo, Lindo, Marbella, Novara, Orlano, Pavona"
)
COLOURS = _list(
    "red, blue, green, yellow, black, white, grey, brown, orange, purple, silver, cream, "
    "dark green, light blue, olive, copper"
)
GROUPS = [
    Group(
        _list("kettle, frying pan, toaster, coffee maker, mixing bowl, teapot, saucepan, blender"),
        _list("steel, glass, ceramic, cast iron, aluminium, enamel"),
        _list("0.5 litres, 0.8 litres, 1 litre, 1.2 litres, 1.5 litres, 1.7 litres, 2 litres, 3 litres"),
        _list("automatic switch-off, a cool handle, a keep-warm plate, a non-drip spout, "
              "a removable filter, an easy-clean coating"),
        _list("small kitchens, large families, quick breakfasts, Sunday brunch, camping cooks"),
        "The {name} brings {colour} {material} to your kitchen",
        " and holds {size}",
        "With {feature}, it is made for {use}.",
        "It comes with {feature}.",
        "It is made for {use}.",
    ),
    Group(
        _list("desk, armchair, bookshelf, bedside table, wardrobe, bench, stool, sofa"),
        _list("oak, walnut, pine, bamboo, birch, leather, linen"),
        _list("40 cm, 60 cm, 80 cm, 90 cm, 120 cm, 140 cm, 160 cm, 200 cm"),
        _list("soft-close drawers, rounded corners, hidden storage, a cable slot, "
              "adjustable feet, a ten year guarantee"),
        _list("home offices, narrow hallways, first flats, reading corners, guest rooms"),
        "Give your room a new centre: the {name} in {colour} {material}",
        ", {size} wide",
        "With {feature}, it will please anyone who furnishes {use}.",
        "You also get {feature}.",
        "A sound choice for {use}.",
    ),
    Group(
        _list("rain jacket, backpack, tent, sleeping bag, cap, fleece jumper, scarf"),
        _list("wool, cotton, nylon, recycled polyester, canvas, merino"),
        _list("size XS, size S, size M, size L, size XL, size XXL"),
        _list("taped seams, a hidden pocket, reflective strips, a two-way zip, "
              "a storm hood, quick-dry lining"),
        _list("mountain hikes, rainy commutes, winter walks, weekend trips, long bike tours"),
        "Out in all weather: this {colour} {name} is sewn from {material}",
        " and comes in {size}",
        "Thanks to {feature} it is ready for {use}.",
        "Look out for {feature}.",
        "Pack it for {use}.",
    ),
    Group(
        _list("floor lamp, table lamp, lantern, wall light, reading light, pendant lamp"),
        _list("brass, paper, frosted glass, concrete, rattan, chrome"),
        _list("4 watts, 6 watts, 8 watts, 10 watts, 12 watts, 20 watts"),
        _list("a dimmer, a motion sensor, a swivel arm, a warm white mode, a timer, a textile cord"),
        _list("evening reading, dinner tables, dark stairways, quiet bedrooms, garden parties"),
        "Good light needs little: the {name}, made of {colour} {material}",
        ", uses only {size}",
        "It has {feature} and was designed with {use} in mind.",
        "It has {feature}.",
        "It was designed with {use} in mind.",
    ),
]


@dataclass(frozen=True)
class Product:
    """A product: its group, its full name and its attributes in a fixed order."""

    group: Group
    name: str
    attributes: dict[str, str]

    def spec(self, order: list[str]) -> str:
        """The attribute list on one line, attributes in the given order."""
        parts = [f"product: {self.name}"]
        return "; ".join(parts + [f"{label}: {self.attributes[label]}" for label in order])

    def description(self) -> str:
        """The description that the task asks for."""
        values = {"name": self.name, **self.attributes}
        first = self.group.opening.format(**values)
        if "size" in values:
            first += self.group.size_clause.format(**values)
        if "feature" in values and "use" in values:
            second = self.group.both
        elif "feature" in values:
            second = self.group.feature_only
        elif "use" in values:
            second = self.group.use_only
        else:
            return first + "."
        return f"{first}. {second.format(**values)}"


def make_product(rng: random.Random) -> Product:
    """A random product; colour and material are always given, the rest mostly."""
    group = rng.choice(GROUPS)
    attributes = {"colour": rng.choice(COLOURS), "material": rng.choice(group.materials)}
    for label, values in (("size", group.sizes), ("feature", group.features), ("use", group.uses)):
        if rng.random() < 0.75:
            attributes[label] = rng.choice(values)
    return Product(group, f"{rng.choice(BRANDS)} {rng.choice(group.products)}", attributes)


def make_example(rng: random.Random) -> Example:
    """One attribute list, shuffled, with its description."""
    product = make_product(rng)
    order = list(product.attributes)
    rng.shuffle(order)
    key = "copy:" + product.name + ":" + product.attributes["colour"]
    return Example(product.spec(order), product.description(), key)


def attribute_values(prompt: str) -> list[str]:
    """The values listed in a prompt, the product name included."""
    return [part.split(": ", 1)[1] for part in prompt.split("; ")]


def covers_all_attributes(prompt: str, description: str) -> bool:
    """True where the description mentions every value of the prompt."""
    return all(value in description for value in attribute_values(prompt))
