"""The "tax" task: a bank transaction line and the category it is booked under.

Three kinds of merchant appear: fixed names ("DEUTSCHE BAHN"), a type of business
with an owner's surname ("BUCHHANDLUNG VOGT"), and general stores whose item word
decides the category ("AMAZON MARKETPLACE TONER"). Store number, city, date and
amount never matter, so a model has to learn what to ignore.
"""

import random
from dataclasses import dataclass

from examples import Example


@dataclass(frozen=True)
class Category:
    """One category with what it is about and the merchants and items that lead to it."""

    label: str
    about: str
    merchants: list[str]
    business_types: list[str]
    items: list[str]


def _category(label: str, about: str, merchants: str, types: str, items: str) -> Category:
    """Build a category from comma-separated lists."""
    def names(text: str) -> list[str]:
        return [name.strip() for name in text.split(",") if name.strip()]

    return Category(label, about, names(merchants), names(types), names(items))


CATEGORIES = [
    _category("vehicle.fuel", "petrol and diesel",
              "SHELL STATION, ARAL STATION, ESSO STATION, TOTAL ENERGIES, JET TANKSTELLE",
              "TANKSTELLE, TANKHOF", "DIESEL, BENZIN"),
    _category("vehicle.repair", "repairs of cars",
              "ATU AUTOTEILE, BOSCH CAR SERVICE, PITSTOP, VERGOELST",
              "KFZ WERKSTATT, AUTOHAUS, REIFENDIENST", "WINTERREIFEN, MOTOROEL"),
    _category("vehicle.parking", "parking",
              "APCOA PARKING, CONTIPARK, EASYPARK, PARKSTER",
              "PARKHAUS, TIEFGARAGE", "PARKSCHEIN, PARKKARTE"),
    _category("travel.train", "train journeys",
              "DEUTSCHE BAHN, DB FERNVERKEHR, FLIXTRAIN, WESTBAHN, EUROSTAR",
              "REISEZENTRUM", "BAHNTICKET, BAHNCARD"),
    _category("travel.flight", "flights",
              "LUFTHANSA, EUROWINGS, RYANAIR, CONDOR, SWISS AIR",
              "FLUGREISEN", "FLUGTICKET, FLUGGEPAECK"),
    _category("travel.hotel", "nights in a hotel",
              "MOTEL ONE, IBIS HOTEL, HOTEL ADLON, NH HOTELS, BOOKING COM",
              "HOTEL, PENSION, GASTHOF", "UEBERNACHTUNG"),
    _category("travel.taxi", "taxi rides",
              "FREENOW, UBER TRIP, BOLT RIDE, TAXI ZENTRALE",
              "TAXI, MIETWAGEN MIT FAHRER", "TAXIFAHRT"),
    _category("office.supplies", "paper and pens",
              "VIKING BUEROBEDARF, STAPLES, OTTO OFFICE, MCPAPER",
              "PAPETERIE, SCHREIBWAREN", "TONER, DRUCKERPAPIER, ORDNER, KUGELSCHREIBER"),
    _category("office.rent", "rooms for work",
              "WEWORK, REGUS OFFICE, DESIGN OFFICES, MINDSPACE",
              "HAUSVERWALTUNG, BUEROVERMIETUNG", "BUEROMIETE, NEBENKOSTEN"),
    _category("communication.phone", "telephone and internet",
              "TELEKOM, VODAFONE, TELEFONICA O2, CONGSTAR, KABEL INTERNET",
              "HANDYSHOP", "PREPAID KARTE, DSL ROUTER"),
    _category("software.subscription", "programs for a monthly fee",
              "ADOBE SYSTEMS, MICROSOFT 365, GITHUB, DROPBOX, SLACK, ZOOM VIDEO",
              "SOFTWAREHAUS", "LIZENZ, CLOUD ABO"),
    _category("hardware.computer", "computers",
              "APPLE STORE, CYBERPORT, NOTEBOOKSBILLIGER, DELL, LENOVO",
              "COMPUTERLADEN, EDV TECHNIK", "LAPTOP, MONITOR, TASTATUR, WEBCAM"),
    _category("education.books", "books for the trade",
              "THALIA BUECHER, HUGENDUBEL, RHEINWERK VERLAG, BECK SHOP",
              "BUCHHANDLUNG, ANTIQUARIAT", "FACHBUCH, LEHRBUCH"),
    _category("education.course", "courses",
              "UDEMY, COURSERA, IHK AKADEMIE, VOLKSHOCHSCHULE",
              "SPRACHSCHULE, SEMINARHAUS", "WORKSHOP, ONLINEKURS"),
    _category("insurance.business", "insurance",
              "ALLIANZ, HISCOX, AXA VERSICHERUNG, HDI GLOBAL, ERGO",
              "VERSICHERUNGSBUERO", "HAFTPFLICHT, POLICE"),
    _category("advice.tax", "help with the tax return",
              "DATEV, LEXOFFICE BELEG, TAXFIX, LOHNSTEUERHILFE",
              "STEUERBERATER, STEUERKANZLEI", "STEUERERKLAERUNG, BUCHFUEHRUNG"),
    _category("meals.business", "meals with clients",
              "VAPIANO, BLOCK HOUSE, NORDSEE, HANS IM GLUECK",
              "RESTAURANT, GASTSTAETTE, TRATTORIA", "BEWIRTUNG, GESCHAEFTSESSEN"),
    _category("marketing.ads", "advertising",
              "GOOGLE ADS, META PLATFORMS, LINKEDIN ADS, FLYERALARM, VISTAPRINT",
              "WERBEAGENTUR, DRUCKEREI", "ANZEIGE, VISITENKARTEN"),
    _category("postage.shipping", "letters and parcels",
              "DEUTSCHE POST, DHL PAKET, HERMES VERSAND, UPS, GLS PAKET",
              "KURIERDIENST", "BRIEFMARKEN, PAKETPORTO"),
    _category("private.none", "private things",
              "NETFLIX, REWE MARKT, LIDL, CINEMAXX, SPOTIFY",
              "FRISEUR, BAECKEREI, BLUMEN, SPIELWAREN", "SPIELZEUG, LEBENSMITTEL, PARFUEM"),
]

GENERAL_STORES = ["AMAZON MARKETPLACE", "EBAY", "KAUFHOF", "METRO", "OTTO VERSAND", "REAL ONLINE"]

SURNAMES = """
    ADLER ALBRECHT ARNOLD BAUER BECKER BERGMANN BRANDT BRAUN BUSCH DIETRICH EBERT ENGEL FISCHER
    FRANKE FRIEDRICH FUCHS GRAF GROSS GUENTHER HAAS HAHN HARTMANN HEINRICH HERRMANN HOFFMANN HORN
    HUBER JAEGER JUNG KAISER KELLER KLEIN KOCH KOENIG KRAUSE KUEHN LANG LEHMANN LORENZ LUDWIG
    MAIER MARTIN MEIER MUELLER NEUMANN OTTO PETERS POHL RICHTER ROTH SAUER SCHMIDT SCHOLZ SCHULZ
    SEIDEL SIMON SOMMER STEIN VOGEL VOGT WAGNER WALTER WEBER WINTER WOLF ZIEGLER ZIMMERMANN
""".split()

CITIES = """
    AACHEN AUGSBURG BERLIN BIELEFELD BOCHUM BONN BREMEN CHEMNITZ DORTMUND DRESDEN DUISBURG
    ERFURT ESSEN FRANKFURT FREIBURG GRAZ HALLE HAMBURG HANNOVER HEIDELBERG JENA KARLSRUHE KASSEL
    KIEL KOELN LEIPZIG LINZ LUEBECK MAINZ MANNHEIM MUENCHEN MUENSTER NUERNBERG POTSDAM
    REGENSBURG ROSTOCK SALZBURG STUTTGART TRIER ULM WIEN WUERZBURG ZUERICH
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
        f"{iso_date} VISA {rng.randint(0, 9999):04d} {merchant} {city} {amount}",
    ]
    return rng.choice(layouts)


def make_example(rng: random.Random) -> Example:
    """One bank line with its category.

    A business with a surname is held out as a whole (the merchant itself is new
    in evaluation); of the other merchants the combination with a city is.
    """
    category = rng.choice(CATEGORIES)
    city = rng.choice(CITIES)
    roll = rng.random()
    if roll < 0.4:
        merchant = rng.choice(category.merchants)
        key = f"tax:{merchant}:{city}"
    elif roll < 0.75:
        merchant = f"{rng.choice(category.business_types)} {rng.choice(SURNAMES)}"
        key = f"tax:{merchant}"
    else:
        merchant = f"{rng.choice(GENERAL_STORES)} {rng.choice(category.items)}"
        key = f"tax:{merchant}:{city}"
    return Example(bank_line(rng, merchant, city), category.label, key)
