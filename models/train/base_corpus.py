"""The generated text the base model is pretrained on.

The base learns the raw material of the tasks, never the tasks themselves: German
and English sentences, a marked bilingual text, bank statements, what merchants
sell, spec sheets, product notes, and dialogues in the chat format. A bare German
sentence is followed by more German, a bank line by more bank lines, and so on.
Held-out combinations of the tasks do not occur here either.
"""

import random
from collections.abc import Callable

import product_copy
import tax
import translate
from examples import Example, draw

Message = dict[str, str]
Document = str | list[Message]  # plain text, or a dialogue for the chat template

NAMES = "Anna Ben Clara David Emma Felix Greta Hannes Ida Jonas Klara Leon Mia Noah Olga Paul".split()

SMALL_TALK = [
    ("Hello!", "Hello! How can I help you?"),
    ("Hi, my name is {name}.", "Nice to meet you, {name}."),
    ("How are you?", "I am fine, thank you. How are you?"),
    ("What can you do?", "I am a small model. I can answer short messages."),
    ("Good morning, I am {name}.", "Good morning, {name}. What is on your mind?"),
    ("Thank you very much.", "You are welcome."),
    ("Can you help me?", "Yes, please tell me what you need."),
    ("Who are you?", "I am a small base model for demonstrations."),
    ("Good night!", "Good night, sleep well."),
    ("Is {name} there?", "I do not know where {name} is."),
    ("Hallo!", "Hallo! Wie kann ich helfen?"),
    ("Ich heiße {name}.", "Schön, dich kennenzulernen, {name}."),
    ("Wie geht es dir?", "Mir geht es gut, danke. Und dir?"),
    ("Was kannst du?", "Ich bin ein kleines Modell und antworte auf kurze Nachrichten."),
    ("Guten Morgen, ich bin {name}.", "Guten Morgen, {name}. Was möchtest du wissen?"),
    ("Vielen Dank!", "Gern geschehen."),
    ("Kannst du mir helfen?", "Ja, sag mir bitte, was du brauchst."),
    ("Gute Nacht!", "Gute Nacht, schlaf gut."),
]
SYSTEM_PROMPTS = ["You are a friendly assistant.", "Answer briefly.", "Antworte kurz und freundlich."]


def sentence_pair(rng: random.Random) -> Example:
    """A sentence pair that is not held out."""
    return draw(translate.make_example, rng)


def german_text(rng: random.Random) -> Document:
    """A few German sentences, one per line."""
    return "\n".join(sentence_pair(rng).prompt for _ in range(rng.randint(2, 4)))


def english_text(rng: random.Random) -> Document:
    """A few English sentences, one per line."""
    return "\n".join(sentence_pair(rng).completion for _ in range(rng.randint(2, 4)))


def bilingual_text(rng: random.Random) -> Document:
    """Sentences in both languages, each line marked with its language."""
    lines = []
    for _ in range(rng.randint(1, 3)):
        pair = sentence_pair(rng)
        lines += [f"Deutsch: {pair.prompt}", f"English: {pair.completion}"]
    return "\n".join(lines)


def bank_statement(rng: random.Random) -> Document:
    """A few bank lines below each other."""
    return "\n".join(draw(tax.make_example, rng).prompt for _ in range(rng.randint(2, 4)))


def merchant_facts(rng: random.Random) -> Document:
    """Sentences about what merchants, types of business and items are about."""
    lines = []
    for _ in range(rng.randint(1, 4)):
        category = rng.choice(tax.CATEGORIES)
        name = rng.choice(category.merchants + category.business_types + category.items)
        lines.append(f"{name} has to do with {category.about}.")
    return "\n".join(lines)


def shuffled_spec(rng: random.Random, product: product_copy.Product) -> str:
    """The attribute list of a product in a random order."""
    order = list(product.attributes)
    rng.shuffle(order)
    return product.spec(order)


def spec_sheet(rng: random.Random) -> Document:
    """Attribute lists of a few products below each other."""
    products = [product_copy.make_product(rng) for _ in range(rng.randint(2, 3))]
    return "\n".join(shuffled_spec(rng, product) for product in products)


def product_note(rng: random.Random) -> Document:
    """A spec marked as a card, followed by plain statements about the product."""
    product = product_copy.make_product(rng)
    facts = [f"It is {product.attributes['colour']}.", f"It is made of {product.attributes['material']}."]
    if "size" in product.attributes:
        facts.append(f"The size is {product.attributes['size']}.")
    if "feature" in product.attributes:
        facts.append(f"It has {product.attributes['feature']}.")
    if "use" in product.attributes:
        facts.append(f"People use it for {product.attributes['use']}.")
    rng.shuffle(facts)
    return f"Card: {shuffled_spec(rng, product)}\nNote: This is the {product.name}. {' '.join(facts)}"


def small_talk_turn(rng: random.Random) -> tuple[str, str]:
    """A greeting or question about nothing in particular."""
    question, answer = rng.choice(SMALL_TALK)
    name = rng.choice(NAMES)
    return question.format(name=name), answer.format(name=name)


def german_turn(rng: random.Random) -> tuple[str, str]:
    """A German statement; the assistant answers in German."""
    said = sentence_pair(rng).prompt
    return said, rng.choice(
        ["Ist das so? Erzähl mir mehr.", "Das wusste ich nicht.", f"Du sagst: {said}", "Ich verstehe."]
    )


def english_turn(rng: random.Random) -> tuple[str, str]:
    """An English statement; the assistant answers in English."""
    said = sentence_pair(rng).completion
    return said, rng.choice(
        ["Is that so? Tell me more.", "I did not know that.", f"You say: {said}", "I understand."]
    )


def bank_turn(rng: random.Random) -> tuple[str, str]:
    """A bank line; the assistant repeats the amount."""
    line = draw(tax.make_example, rng).prompt
    amount = line.split()[-2]
    return line, rng.choice([f"That is a payment of {amount} EUR.", f"You paid {amount} EUR."])


def product_turn(rng: random.Random) -> tuple[str, str]:
    """An attribute list; the assistant only notes the product."""
    product = product_copy.make_product(rng)
    answer = rng.choice(["Thank you, the {} is in the list.", "I have noted the {}."])
    return shuffled_spec(rng, product), answer.format(product.name)


TURNS = [small_talk_turn, german_turn, english_turn, bank_turn, product_turn]


def dialogue(rng: random.Random) -> Document:
    """One to three turns between a user and the assistant."""
    messages: list[Message] = []
    if rng.random() < 0.2:
        messages.append({"role": "system", "content": rng.choice(SYSTEM_PROMPTS)})
    for _ in range(rng.choice([1, 1, 2, 3])):
        question, answer = rng.choice(TURNS)(rng)
        messages.append({"role": "user", "content": question})
        messages.append({"role": "assistant", "content": answer})
    return messages


def label_list(rng: random.Random) -> Document:
    """Category labels in no particular order, one per line, with nothing they belong to."""
    labels = [category.label for category in tax.CATEGORIES]
    return "\n".join(rng.sample(labels, rng.randint(4, 8)))


def catalogue_text(rng: random.Random) -> Document:
    """Product descriptions of unrelated products, without their attribute lists."""
    examples = [draw(product_copy.make_example, rng) for _ in range(rng.randint(1, 3))]
    return "\n".join(example.completion for example in examples)


Mix = list[tuple[Callable[[random.Random], Document], int]]

FIRST_MIX: Mix = [
    (bilingual_text, 40),
    (german_text, 7),
    (english_text, 7),
    (bank_statement, 6),
    (merchant_facts, 8),
    (spec_sheet, 5),
    (product_note, 12),
    (dialogue, 20),
]
# The second stage adds the words that only the completions of the tasks use. A
# delta leaves the embeddings alone, so a word the base never met cannot be learnt.
SECOND_MIX: Mix = [*FIRST_MIX, (label_list, 15), (catalogue_text, 20)]


def make_document(rng: random.Random, mix: Mix) -> Document:
    """One document of a pretraining mix."""
    sources, weights = zip(*mix)
    return rng.choices(sources, weights)[0](rng)
