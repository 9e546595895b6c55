"""The table of drawings: which function draws which word, how big and in which colours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from workbench.providers.sketch import elements_beasts as beasts
from workbench.providers.sketch import elements_buildings as buildings
from workbench.providers.sketch import elements_faces as faces
from workbench.providers.sketch import elements_figures as figures
from workbench.providers.sketch import elements_food as food
from workbench.providers.sketch import elements_objects as objects
from workbench.providers.sketch import elements_plants as plants
from workbench.providers.sketch import elements_vehicles as vehicles
from workbench.providers.sketch import elements_wild as wild
from workbench.providers.sketch.pen import Coat, Colour, Pen
from workbench.providers.sketch.streams import Stream


@dataclass(frozen=True)
class Drawing:
    """One line of the table.

    ``draw`` the function, ``colours`` to choose from, ``height`` compared with other things of
    its kind, ``half`` its half width and ``top`` its top in local units, ``lights`` whether it
    has windows to light at night.
    """

    draw: Callable[..., None]
    colours: tuple[Colour, ...]
    height: float = 1.0
    half: float = 0.8
    top: float = 1.15
    lights: bool = False

    def run(self, pen: Pen, coat: Coat, stream: Stream, *, lit: bool) -> None:
        """Draw the thing."""
        if self.lights:
            self.draw(pen, coat, stream, lit=lit)
        else:
            self.draw(pen, coat, stream)


def _colours(text: str) -> tuple[Colour, ...]:
    return tuple((int(c[0:2], 16), int(c[2:4], 16), int(c[4:6], 16)) for c in text.split())


def _d(
    draw: Callable[..., None],
    colours: str,
    height: float = 1.0,
    half: float = 0.8,
    top: float = 1.15,
    *,
    lights: bool = False,
) -> Drawing:
    return Drawing(draw, _colours(colours), height, half, top, lights)


def _sit(kind: str) -> Callable[..., None]:
    def draw(p: Pen, c: Coat, r: Stream) -> None:
        faces.sitter(p, c, kind, r)

    return draw


def _walk(kind: str) -> Callable[..., None]:
    def draw(p: Pen, c: Coat, r: Stream) -> None:
        beasts.walker(p, c, kind, r)

    return draw


def _bloom(kind: str) -> Callable[..., None]:
    return partial(plants.flower, kind=kind)


FLOWERS = ("flowers", "tulips", "roses", "sunflowers", "poppies", "lavender", "wheat", "daisies")

DRAWINGS: dict[str, Drawing] = {
    # animals with a face
    "fox": _d(_sit("fox"), "d9702c c9612a e08038", 1.0, 0.9),
    "cat": _d(_sit("cat"), "8c8378 c98a4e 5c5a62 d8b48a", 0.9, 0.8),
    "dog": _d(_sit("dog"), "c08a54 8a6446 d9b98c a8896c", 1.0, 0.8),
    "wolf": _d(_sit("wolf"), "8b8f99 767a86", 1.08, 0.9),
    "bear": _d(_sit("bear"), "7d5438 6b4a36", 1.25, 0.8),
    "panda": _d(_sit("panda"), "f0eee6", 1.2, 0.8),
    "rabbit": _d(_sit("rabbit"), "b79a7c d8cabb a08870", 0.8, 0.7, 1.4),
    "mouse": _d(_sit("mouse"), "9a928e b7a390", 0.6, 0.8),
    "lion": _d(_sit("lion"), "d9a557 cf9648", 1.15, 0.8),
    "tiger": _d(_sit("tiger"), "e08c34 d97e2c", 1.1, 0.8),
    "squirrel": _d(_sit("squirrel"), "b5652f a3572c", 0.75, 0.8),
    # other animals
    "hedgehog": _d(beasts.hedgehog, "7c614a", 0.6, 1.0),
    "horse": _d(_walk("horse"), "8a5838 6a4632 a8774a 5c5458", 1.3, 0.85, 1.25),
    "deer": _d(_walk("deer"), "a8713f b5804e", 1.25, 0.7, 1.4),
    "cow": _d(_walk("cow"), "ece6da 9a6444 3c3a40", 1.1, 0.95),
    "sheep": _d(_walk("sheep"), "ece6d8", 0.85, 0.8),
    "pig": _d(_walk("pig"), "eab0ac e3a29c", 0.75, 0.95),
    "giraffe": _d(_walk("giraffe"), "e0b262", 1.5, 0.7, 1.45),
    "zebra": _d(_walk("zebra"), "efece6", 1.2, 0.85, 1.25),
    "camel": _d(_walk("camel"), "c79a62", 1.25, 0.9, 1.25),
    "elephant": _d(beasts.elephant, "8d9098 9a948f", 1.4, 0.95),
    "frog": _d(beasts.frog, "6fae4c 5a9c54", 0.6, 0.8),
    "turtle": _d(beasts.turtle, "7f8f4e 6d8a5a", 0.6, 1.15),
    "snail": _d(beasts.snail, "b9784a a8684e", 0.5, 0.9),
    "dragon": _d(beasts.dragon, "4f8a5c a04440 5a5fa0", 1.4, 1.3, 1.2),
    "dinosaur": _d(beasts.dinosaur, "6f9a64 8a8f5a", 1.4, 1.15),
    "penguin": _d(wild.penguin, "2a2e3e", 0.9, 0.6),
    "owl": _d(wild.owl, "94704e 8a7a6a a3835c", 0.9, 0.7, 1.2),
    "chicken": _d(wild.chicken, "b8623a efe6d6", 0.75, 0.9),
    "duck": _d(wild.duck, "a08a70 ece4d2", 0.55, 0.85),
    "swan": _d(wild.swan, "f4f2ee", 0.75, 0.85),
    "bird": _d(wild.bird, "4f86b8 c25b42 7d8c4a e0b04a", 0.6, 0.95),
    "birds": _d(wild.gull, "eeeeec", 0.2, 1.05, 0.9),
    "eagle": _d(wild.eagle, "6c4c36", 0.8, 1.3, 1.0),
    "butterfly": _d(wild.butterfly, "ea8a34 4a86c8 d65a8a e8c042", 0.6, 0.75),
    "bee": _d(wild.bee, "f0be3c", 0.4, 0.8, 1.25),
    "fish": _d(wild.fish, "ea7a34 e0a03c 4a90b8 d8584c", 0.6, 1.1),
    "whale": _d(wild.whale, "4a6a8c 56728a", 1.1, 1.5),
    "dolphin": _d(wild.dolphin, "7690a8 6a88a6", 0.9, 1.1),
    "shark": _d(wild.shark, "71808e", 0.9, 1.25),
    "octopus": _d(wild.octopus, "c25a6a a85a94 d9763c", 1.0, 1.1),
    "jellyfish": _d(wild.jellyfish, "d99ac8 9ab4ea f0b890", 1.0, 0.6),
    "crab": _d(wild.crab, "d2553c", 0.55, 1.1, 1.25),
    # figures
    "person": _d(figures.person, "b8483e 3f6490 c99a3c 4f7d5e 7a4a78", 1.15, 0.4),
    "robot": _d(figures.robot, "96a4b0", 1.0, 0.6, 1.2),
    "astronaut": _d(figures.astronaut, "e8e8e6", 1.1, 0.55),
    "wizard": _d(figures.wizard, "56468c", 1.15, 0.5, 1.2),
    "ghost": _d(figures.ghost, "ecf0f4", 0.95, 0.65),
    "knight": _d(figures.knight, "a83c3c 3c5c9c", 1.15, 0.55, 1.2),
    "snowman": _d(figures.snowman, "c8443c 3f7a5a", 1.0, 0.65, 1.2),
    # plants
    "tree": _d(plants.tree, "5f8f46 6c9a4e 4f8050", 1.6, 0.62, 1.1),
    "pine": _d(plants.pine, "2f6048 3c6a4a 2c5550", 1.7, 0.4, 1.15),
    "palm": _d(plants.palm, "4d9450 5fa050", 1.6, 0.85, 1.15),
    "birch": _d(plants.birch, "8fae4c a5b85a", 1.6, 0.5, 1.15),
    "willow": _d(plants.willow, "84a050 7a9a5a", 1.6, 0.65, 1.1),
    "cherry_tree": _d(plants.cherry_tree, "f2b2c4 eea0b8", 1.5, 0.65, 1.1),
    "cypress": _d(plants.cypress, "3f6a44", 1.7, 0.22, 1.1),
    "bare_tree": _d(plants.bare_tree, "4e403c", 1.6, 0.8, 1.3),
    "bush": _d(plants.bush, "5c8a48 6f9a50", 0.6, 0.85, 1.05),
    "cactus": _d(plants.cactus, "5a9460 4f8a5a", 1.2, 0.4),
    "mushroom": _d(plants.mushroom, "cc3f34 c8503a", 0.8, 0.85),
    "fern": _d(plants.fern, "5f9a50", 0.7, 0.95, 1.1),
    "pumpkin": _d(plants.pumpkin, "e0802c", 0.6, 0.75),
    "flowers": _d(_bloom("flowers"), "ea6a86 f0b24a 9a74c8 f2f0ea e8604c", 0.5, 0.35),
    "tulips": _d(_bloom("tulips"), "dc4a4c f0b440 e88aa6 8a4a9a", 0.5, 0.3, 1.2),
    "roses": _d(_bloom("roses"), "c8323e e8869a", 0.5, 0.3),
    "sunflowers": _d(_bloom("sunflowers"), "f2b92c", 0.8, 0.35, 1.2),
    "poppies": _d(_bloom("poppies"), "dc3c30 e04a34", 0.5, 0.3, 1.2),
    "lavender": _d(_bloom("lavender"), "8a6cc0 7c62b8", 0.5, 0.2),
    "wheat": _d(_bloom("wheat"), "dcb45a e6c26a", 0.6, 0.2),
    "daisies": _d(_bloom("daisies"), "f6f4ee", 0.4, 0.3, 1.1),
    # buildings
    "house": _d(buildings.house, "ecdec4", 1.0, 1.15, 1.1, lights=True),
    "village": _d(buildings.house, "ecdec4", 0.8, 1.15, 1.1, lights=True),
    "castle": _d(buildings.castle, "bab0a6", 1.7, 0.85, 1.4, lights=True),
    "city": _d(buildings.tower_block, "6a7486 7c8490 5a6478 8a7a78", 2.0, 0.32, 1.2, lights=True),
    "tower": _d(buildings.tower, "b0a296", 1.7, 0.3, 1.15, lights=True),
    "lighthouse": _d(buildings.lighthouse, "cc4236", 1.8, 0.6, 1.05, lights=True),
    "bridge": _d(buildings.bridge, "ac9c8c", 0.9, 1.65, 0.75, lights=True),
    "windmill": _d(buildings.windmill, "e2d4be", 1.5, 0.62, 1.25, lights=True),
    "church": _d(buildings.church, "e8e0d0", 1.4, 0.75, 1.2, lights=True),
    "pagoda": _d(buildings.pagoda, "be4034", 1.6, 0.55, 1.2, lights=True),
    "barn": _d(buildings.barn, "ac362e", 1.0, 1.1, 1.1, lights=True),
    "tent": _d(buildings.tent, "de8c42 4f8f8a", 0.6, 1.1, 0.95, lights=True),
    "pyramid": _d(buildings.pyramid, "deb878", 1.4, 1.0, 1.05, lights=True),
    "igloo": _d(buildings.igloo, "e2ecf4", 0.7, 0.85, 0.9, lights=True),
    "lamp_post": _d(buildings.lamp_post, "34363e", 1.3, 0.2, 1.1, lights=True),
    "bench": _d(buildings.bench, "966842", 0.55, 1.0, 1.0, lights=True),
    "gate": _d(buildings.gate, "b4a89a", 1.2, 0.6, 1.1, lights=True),
    # vehicles
    "boat": _d(vehicles.boat, "f6eedc", 1.0, 0.7, 1.1),
    "ship": _d(vehicles.ship, "404254", 1.0, 1.15, 1.35),
    "canoe": _d(vehicles.canoe, "965c3a", 0.55, 1.0, 1.0),
    "car": _d(vehicles.car, "c8443c 3f78a8 e0b23c 6fa08a", 0.7, 1.1, 1.05),
    "train": _d(vehicles.train, "42544c", 0.9, 1.9, 1.55),
    "bicycle": _d(vehicles.bicycle, "c8443c 3f8a8a", 0.8, 0.9, 1.1),
    "bus": _d(vehicles.bus, "cc3c34 e0a83c", 0.9, 1.15, 1.1),
    "tractor": _d(vehicles.tractor, "4a8a4a c8443c", 0.9, 0.85, 1.1),
    "balloon": _d(vehicles.balloon, "d8483e e8843c 3f7aa8 8a5aa0", 1.0, 0.45, 1.1),
    "kite": _d(vehicles.kite, "dc4a42 3f8ac0", 0.7, 0.4, 1.1),
    "plane": _d(vehicles.plane, "ececE8", 0.7, 1.1, 1.05),
    "rocket": _d(vehicles.rocket, "ce3e34", 1.2, 0.4, 1.15),
    "ufo": _d(vehicles.ufo, "a0a4b2", 0.6, 0.8, 1.0),
    "airship": _d(vehicles.airship, "c8a060 8a94a0", 0.8, 1.2, 1.05),
    # objects
    "apple": _d(food.apple, "c8382e b8342e 9ab848", 0.8, 0.6, 1.15),
    "pear": _d(food.pear, "c9b84a b5b850", 1.0, 0.5, 1.2),
    "banana": _d(food.banana, "f0cc48", 0.85, 1.05, 1.1),
    "lemon": _d(food.lemon, "f2d23c", 0.7, 0.95, 1.0),
    "orange_fruit": _d(food.orange_fruit, "ea8c2c", 0.75, 0.6, 1.1),
    "cherry": _d(food.cherry, "b8243a", 0.7, 0.7, 1.2),
    "grapes": _d(food.grapes, "6a4484 8aa84c", 0.9, 0.6, 1.15),
    "strawberry": _d(food.strawberry, "d43c3c", 0.65, 0.5, 1.1),
    "watermelon": _d(food.watermelon, "e05a52", 0.8, 1.0, 1.0),
    "carrot": _d(food.carrot, "e8822c", 0.6, 1.1, 0.8),
    "bread": _d(food.bread, "c48a4c", 0.8, 1.0, 0.85),
    "cheese": _d(food.cheese, "f0c24c", 0.8, 0.95, 0.9),
    "cake": _d(food.cake, "f0b8c4 f4e6d0", 1.1, 0.9, 1.15),
    "cup": _d(objects.cup, "e6e2d8 5a86a0 c86a50", 0.85, 0.85, 1.2),
    "teapot": _d(objects.teapot, "5a86a0 c86a50 d8d2c4", 1.0, 1.0, 1.1),
    "bottle": _d(objects.bottle, "3c5a42 4a3c34 3c5870", 1.7, 0.3, 1.1),
    "glass": _d(objects.glass, "8a2436 e0c46a", 1.2, 0.35, 1.1),
    "vase": _d(objects.vase, "4f7aa0 c8785a e0d8c8", 1.8, 0.65, 1.15),
    "jug": _d(objects.jug, "c8a078 5f86a0 e0d6c4", 1.3, 0.65, 1.1),
    "bowl": _d(food.bowl, "5a86a0 b8845a", 1.0, 0.95, 1.1),
    "book": _d(objects.book, "9a3c38 3c5c84", 0.9, 0.9, 1.0),
    "candle": _d(objects.candle, "efe6d0", 1.2, 0.55, 1.15),
    "lamp": _d(objects.lamp, "f0c878 e0a070", 1.6, 0.5, 1.1),
    "clock": _d(objects.clock, "a8783c 5c4c48", 1.0, 0.6, 1.1),
    "chair": _d(objects.chair, "a8743e", 1.8, 0.55, 1.1),
    "guitar": _d(objects.guitar, "b8743a", 2.0, 0.35, 1.2),
    "umbrella": _d(objects.umbrella, "c83c44 3f6aa0", 1.4, 0.7, 1.1),
    "hat": _d(objects.hat, "5c5048 b88a5a", 0.7, 0.9, 0.9),
    "egg": _d(objects.egg, "ecdcc4 d8b48c", 0.55, 0.45, 1.0),
    "shell": _d(objects.shell, "eab8a4 e8cfae", 0.7, 0.65, 1.05),
    "heart": _d(objects.heart, "d83c4c", 0.9, 0.6, 1.1),
    "gift": _d(objects.gift, "c83c44 3f7a8a", 0.9, 0.6, 1.1),
    "key_thing": _d(objects.key_thing, "c89a4a", 0.6, 0.9, 0.8),
    "skull": _d(objects.skull, "ece2cc", 1.0, 0.55, 1.1),
    "flowerpot": _d(objects.flowerpot, "c4744c", 1.5, 0.75, 1.2),
    "planet": _d(objects.planet, "d8a066 c8785a 8aa8c8", 1.0, 1.0, 1.1),
    "earth": _d(objects.earth, "3a78b8", 1.0, 0.6, 1.1),
}  # fmt: skip

PORTRAITS = frozenset(faces.FACES)
