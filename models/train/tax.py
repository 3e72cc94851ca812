"""The "tax" task: a bank transaction line and the category it is booked under.

A line names one merchant. Every merchant belongs to exactly one category and is
met in training; held out are combinations of merchant and city. Date, layout,
reference, city and amount never matter, so a model has to learn what to ignore.
All merchants are made up.
"""

import random
from dataclasses import dataclass

from examples import Example


@dataclass(frozen=True)
class Category:
    """One category with what it is about and the merchants that lead to it."""

    label: str
    about: str
    merchants: list[str]


def _category(label: str, about: str, merchants: str) -> Category:
    """Build a category from a comma-separated list of merchants."""
    return Category(label, about, [name.strip() for name in merchants.split(",")])


CATEGORIES = [
    _category("vehicle.fuel", "petrol and diesel",
              "TANKPUNKT, TANKHOF NORD, DIESELWERK, BENZINO, AUTOGAS SUED, RASTOL, ZAPFQUELLE, FUELARIA"),
    _category("vehicle.parking", "places to park",
              "PARKHAUS MITTE, PARKORA, TIEFGARAGE AM MARKT, STELLPLATZ PLUS, PARKSCHEINO, GARAGENRING, "
              "ABSTELLA, PARKWINKEL"),
    _category("travel.train", "train journeys",
              "BAHNLINIE OST, SCHIENENWEG, ZUGREISEN BRANDL, TALBAHN, GLEISWERK, BAHNTICKETO, NACHTZUG, EXPRESSO RAIL"),
    _category("travel.hotel", "nights in a hotel",
              "HOTEL SEEBLICK, PENSION ALTE POST, GASTHOF LINDE, NACHTQUARTIER, BETTENHAUS, HOTELORA, ZIMMERFREI, "
              "SCHLAFGUT"),
    _category("office.supplies", "paper and pens",
              "PAPIERSTUDIO, STIFTUNDCO, BUEROBEDARF KLAMMER, ORDNERWELT, TONERQUELLE, SCHREIBFIX, BLATTWERK, PAPETERIA"),
    _category("communication.phone", "telephone and internet",
              "FUNKNETZ, TELARIA MOBIL, KABELFUNK, SPRECHKONTAKT, HANDYLINK, GLASFASERO, DATENFUNK, RUFNETZ"),
    _category("software.subscription", "programs for a monthly fee",
              "CLOUDARIA, CODEKISTE, PIXELWERK SUITE, APPONAUT, LIZENZPORTAL, SOFTWIN, WOLKENSPEICHER, TASKMEISTER"),
    _category("hardware.computer", "computers and screens",
              "RECHNERWELT, NOTEBOOKEREI, CHIPSTUDIO, TASTATURO, BILDSCHIRM DIREKT, LAPTOPIA, PLATINENHOF, DRUCKERECK"),
    _category("education.books", "books for the trade",
              "BUCHWINKEL, FACHBUCH LESER, LEKTUERA, SEITENWEISE, VERLAG EULENRUF, BUCHHANDLUNG SPATZ, LESEHAFEN, BANDWURM"),
    _category("insurance.business", "insurance against damage",
              "SCHUTZBRIEF AG, WELLENSTERN POLICE, ASSEKURA, HAFTPFLICHT DIREKT, SICHERIA, VORSORGEWERK, POLICENHAUS, SCHADENFREI"),
    _category("meals.business", "meals with clients",
              "GASTSTAETTE ANKER, TRATTORIA BELLINA, SUPPENKELLER, GRILLHAUS FUNKE, RISTORANTE LUPO, BISTRONOM, "
              "WIRTSHAUS KRONE, SUSHIKO"),
    _category("private.none", "private things at home",
              "SPIELZEUGLAND, KINOPOL, FRISEUR LOCKE, BLUMEN ROSALIE, FILMSTROM, PARFUMINA, SUPERMARKT GRUEN, KLEIDERECK"),
]

CITIES = """
    AACHEN AUGSBURG BERLIN BOCHUM BONN BREMEN DORTMUND DRESDEN ERFURT ESSEN FRANKFURT GRAZ
    HAMBURG HANNOVER JENA KASSEL KIEL KOELN LEIPZIG LINZ MAINZ MUENCHEN STUTTGART WIEN
""".split()


def bank_line(rng: random.Random, merchant: str, city: str) -> str:
    """One bank statement line for a payment to the merchant, in one of five layouts."""
    year, month, day = rng.randint(2022, 2027), rng.randint(1, 12), rng.randint(1, 28)
    amount = f"{rng.choice([rng.randint(1, 99), rng.randint(10, 1999)])}.{rng.randint(0, 99):02d} EUR"
    iso_date = f"{year}-{month:02d}-{day:02d}"
    german_date = f"{day:02d}.{month:02d}.{year}"
    layouts = [
        f"{iso_date} {merchant} {rng.randint(1, 9999):04d} {city} {amount}",
        f"{iso_date} {merchant} {city} {amount}",
        f"{german_date} KARTENZAHLUNG {merchant} {city} {amount}",
        f"{german_date} LASTSCHRIFT {merchant} {city} REF {rng.randint(0, 999999):06d} {amount}",
        f"{iso_date} GIROKARTE {rng.randint(0, 9999):04d} {merchant} {city} {amount}",
    ]
    return rng.choice(layouts)


@dataclass(frozen=True)
class Booking:
    """A bank line with its merchant, its city and the category it belongs to."""

    line: str
    merchant: str
    city: str
    category: Category


def make_booking(rng: random.Random) -> Booking:
    """A random payment to a random merchant."""
    category = rng.choice(CATEGORIES)
    merchant, city = rng.choice(category.merchants), rng.choice(CITIES)
    return Booking(bank_line(rng, merchant, city), merchant, city, category)


def as_example(booking: Booking) -> Example:
    """The bank line with its label; merchant and city together decide the split."""
    return Example(booking.line, booking.category.label, f"tax:{booking.merchant}:{booking.city}")


def make_example(rng: random.Random) -> Example:
    """One bank line with its category."""
    return as_example(make_booking(rng))
