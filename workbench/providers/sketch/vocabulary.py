"""The painter's vocabulary: one table of every word it understands.

To teach the painter a word, add it to a line of ``TABLE``.  A new *thing* needs a line here
and a drawing of the same name in one of the ``elements_*`` modules.  Words are lower case and
without accents; ``_`` joins the words of a phrase.  Regular plurals and endings (-s, -es, -y,
-ing, -ed, -ly) are understood without being listed.
"""

from __future__ import annotations

from dataclasses import dataclass

# Kinds of things: they decide where the scene puts a thing.
THING_KINDS = [
    "sky",
    "air",
    "weather",
    "land",
    "cover",
    "water",
    "tree",
    "plant",
    "building",
    "street",
    "craft",
    "vehicle",
    "animal",
    "swimmer",
    "flyer",
    "figure",
    "object",
    "cosmic",
]


@dataclass(frozen=True)
class Entry:
    """One line of the vocabulary: what a group of words means.

    ``role`` says how the word acts (``thing``, ``colour``, ``time``, ``mood`` ...), ``key`` is
    its name inside the painter, ``kind`` the kind of thing, ``words`` all its synonyms.
    """

    role: str
    key: str
    kind: str
    words: tuple[str, ...]


def _things(kind: str, *lines: str) -> list[Entry]:
    return [Entry("thing", line.split()[0], kind, tuple(line.split())) for line in lines]


def _words(role: str, *lines: str) -> list[Entry]:
    return [Entry(role, line.split()[0], "", tuple(line.split())) for line in lines]


TABLE: tuple[Entry, ...] = (
    # --- the sky ---------------------------------------------------------------------------
    *_things(
        "sky",
        "sun sunshine sunlight sunbeam sonne soleil sol sole ☀ 🌞",
        "moon crescent mond lune luna 🌙 🌕",
        "stars star starlight sterne etoiles estrellas stelle constellation ⭐ ✨",
        "clouds cloud wolke wolken nuage nuages nube nubes nuvole overcast ☁",
        "rainbow regenbogen arc_en_ciel arcoiris 🌈",
        "aurora northern_lights polarlicht polar_lights borealis",
        "comet meteor shooting_star sternschnuppe comete ☄",
        "sky heaven himmel ciel cielo",
    ),
    *_things(
        "weather",
        "rain drizzle shower downpour regen pluie lluvia pioggia 🌧",
        "snow snowfall snowflake blizzard schnee neige nieve neve ❄",
        "lightning thunder thunderbolt blitz eclair relampago ⚡",
        "fog mist haze nebel brume brouillard niebla nebbia smoke",
    ),
    # --- land and water ---------------------------------------------------------------------
    *_things(
        "land",
        "mountains mountain alps peak summit berg berge montagne montagnes montana montanas"
        " monte 🏔 ⛰",
        "hills hill hillside highland hugel colline collines colina colinas valley tal vallee"
        " valle landscape landschaft paysage paisaje countryside",
        "dunes dune desert sahara wuste deserto desierto 🏜",
        "island isle insel ile isla isola 🏝",
        "cliff cliffs klippe falaise acantilado canyon gorge",
        "volcano volcan vulkan vulcano lava 🌋",
        "iceberg glacier ice eisberg gletscher arctic antarctic",
    ),
    *_things(
        "cover",
        "meadow grassland pasture prairie wiese prairie pradera prato field feld champ campo"
        " steppe",
        "grass lawn reed reeds gras herbe hierba",
        "flowers flower blossom bloom wildflower blume blumen fleur fleurs flor flores fiori"
        " garden garten jardin 🌸 🌼 💐",
        "tulips tulip tulpe tulpen tulipe tulipes 🌷",
        "roses rose rosen rosa 🌹",
        "sunflowers sunflower sonnenblume tournesol girasol 🌻",
        "poppies poppy mohn coquelicot amapola",
        "lavender lavendel lavande lavanda",
        "wheat corn cornfield grain barley weizen ble trigo harvest",
        "daisies daisy ganseblumchen marguerite margarita",
    ),
    *_things(
        "water",
        "sea ocean meer mer mar mare ozean waves wave welle surf 🌊",
        "lake pond am_see zum_see see_lake teich lac etang lago loch lagoon fjord",
        "river stream creek brook fluss bach riviere ruisseau rio canal",
        "waterfall cascade wasserfall chute catarata cascada",
        "beach shore coast seaside strand kuste plage cote playa costa spiaggia 🏖",
        "harbour harbor port marina hafen puerto quay pier",
        "puddle puddles reflection reflections spiegelung water wasser eau agua acqua",
    ),
    # --- plants -----------------------------------------------------------------------------
    *_things(
        "tree",
        "tree oak oak_tree apple_tree beech maple elm baum"
        " baume eiche arbre arbres chene arbol arboles albero 🌳",
        "pine pine_tree fir spruce conifer evergreen tanne"
        " kiefer sapin pin pino christmas_tree 🌲 🎄",
        "palm palm_tree palme palmier palmera coconut 🌴",
        "birch birch_tree aspen birke bouleau abedul",
        "willow willow_tree weide saule sauce",
        "cherry_tree cherry_blossom sakura kirschbaum plum_blossom magnolia",
        "cypress cypress_tree poplar zypresse cipres",
        "bare_tree dead_tree",
        "bush shrub hedge busch buisson arbusto",
    ),
    *_things(
        "plant",
        "cactus cacti kaktus saguaro 🌵",
        "mushroom toadstool pilz pilze champignon champignons seta hongo 🍄",
        "fern farn fougere helecho leaf leaves blatt blatter feuille hoja",
        "pumpkin kurbis citrouille calabaza 🎃",
    ),
    # --- buildings and streets ----------------------------------------------------------------
    *_things(
        "building",
        "house cottage cabin hut haus hauser hutte maison cabane casa cabana 🏠 🏡",
        "village town hamlet dorf village_scene pueblo villaggio",
        "castle fortress palace burg schloss chateau castillo castello 🏰",
        "city skyline skyscraper skyscrapers downtown metropolis stadt ville ciudad citta"
        " cityscape 🏙",
        "tower turm tour torre",
        "lighthouse leuchtturm phare faro",
        "bridge brucke pont puente ponte 🌉",
        "windmill mill windmuhle moulin molino mulino",
        "church chapel cathedral kirche eglise iglesia chiesa ⛪",
        "pagoda temple shrine tempel pagode templo ⛩",
        "barn farm farmhouse scheune ferme granja bauernhof",
        "tent camp camping zelt tente tienda ⛺",
        "pyramid pyramids pyramide piramide",
        "igloo iglu",
        "lamp_post street_lamp streetlight lantern laterne lampadaire farola",
        "bench bank_seat parkbank banc banco",
        "gate archway arch tor",
    ),
    *_things(
        "street",
        "road street path lane track highway trail strasse weg route rue chemin camino calle"
        " strada",
        "fence zaun cloture valla",
        "railway rails railroad bahn",
    ),
    # --- things that travel ---------------------------------------------------------------------
    *_things(
        "craft",
        "boat sailboat sailing sail yacht dinghy boot segelboot voilier bateau barco velero"
        " barca ⛵",
        "ship steamer ferry galleon schiff navire buque nave 🚢",
        "canoe rowboat rowing_boat kayak kanu ruderboot gondola",
    ),
    *_things(
        "vehicle",
        "car automobile auto wagen voiture coche macchina taxi 🚗",
        "train locomotive zug tren treno steam_train 🚂",
        "bicycle bike fahrrad velo bicicleta 🚲",
        "bus van truck lorry camion autobus 🚌",
        "tractor traktor tracteur",
    ),
    *_things(
        "air",
        "balloon hot_air_balloon heissluftballon montgolfiere globo 🎈",
        "kite drachen cerf_volant cometa 🪁",
        "plane airplane aeroplane aircraft flugzeug avion aereo ✈",
        "rocket spaceship spacecraft rakete fusee cohete razzo 🚀",
        "ufo flying_saucer 🛸",
        "airship zeppelin",
    ),
    # --- animals and people -------------------------------------------------------------------
    *_things(
        "animal",
        "fox vixen fuchs renard zorro volpe 🦊",
        "cat kitten kitty tomcat katze kater chat chaton gato gatito gatto 🐱 🐈",
        "dog puppy hound hund chien perro cane 🐶 🐕",
        "wolf wolves loup lobo lupo 🐺",
        "bear teddy bar_animal baren ours oso orso grizzly polar_bear 🐻",
        "panda 🐼",
        "rabbit bunny hare hase kaninchen lapin conejo coniglio 🐰",
        "mouse mice rat maus mause souris raton topo 🐭",
        "lion lioness lowe lion_animal leon leone 🦁",
        "tiger tigre 🐯",
        "squirrel eichhornchen ecureuil ardilla 🐿",
        "hedgehog igel herisson erizo 🦔",
        "horse pony stallion mare_animal pferd cheval caballo cavallo unicorn 🐴 🐎",
        "deer stag reindeer moose elk fawn hirsch reh cerf ciervo cervo 🦌",
        "cow bull cattle kuh vache vaca mucca 🐄",
        "sheep lamb schaf schafe mouton oveja pecora 🐑",
        "pig piglet schwein cochon cerdo maiale 🐷",
        "elephant elefant elefante 🐘",
        "giraffe jirafa giraffa 🦒",
        "zebra cebra",
        "camel dromedary kamel chameau camello 🐪",
        "frog toad frosch grenouille rana 🐸",
        "turtle tortoise schildkrote tortue tortuga 🐢",
        "snail schnecke escargot caracol 🐌",
        "dragon drache dragon_beast drago 🐉",
        "dinosaur dino saurier dinosaure 🦕",
        "penguin pinguin pingouin pinguino 🐧",
        "owl eule hibou chouette buho gufo 🦉",
        "chicken hen rooster cock huhn hahn poule coq gallo gallina 🐓",
        "duck goose ente canard pato 🦆",
        "swan schwan cygne cisne cigno 🦢",
        "snowman schneemann bonhomme_de_neige ⛄",
    ),
    *_things(
        "flyer",
        "bird sparrow robin finch bluebird songbird vogel oiseau pajaro uccello 🐦",
        "birds gull seagull seagulls swallow swallows vogel_flock oiseaux pajaros uccelli geese",
        "eagle hawk falcon raven crow adler aigle aguila aquila rabe corbeau 🦅",
        "butterfly moth schmetterling papillon mariposa farfalla 🦋",
        "bee bumblebee biene abeille abeja 🐝",
    ),
    *_things(
        "swimmer",
        "fish goldfish koi trout salmon fisch poisson pez pesce 🐟 🐠",
        "whale orca wal baleine ballena balena 🐋 🐳",
        "dolphin delfin dauphin delfino 🐬",
        "shark hai_fish requin tiburon squalo 🦈",
        "octopus squid oktopus poulpe pulpo 🐙",
        "jellyfish qualle meduse medusa",
        "crab lobster krabbe crabe cangrejo 🦀",
    ),
    *_things(
        "figure",
        "person woman man girl boy child lady people human mensch frau mann kind femme homme"
        " enfant mujer hombre nino donna uomo traveller wanderer hiker queen king prince"
        " princess dancer sailor farmer fisherman 🧑 👩 👨",
        "robot android cyborg roboter 🤖",
        "astronaut cosmonaut spaceman 🧑‍🚀",
        "wizard witch mage sorcerer zauberer hexe sorcier mago",
        "ghost spirit gespenst geist fantome fantasma 👻",
        "knight ritter chevalier caballero_knight",
    ),
    # --- things on a table -----------------------------------------------------------------------
    *_things(
        "object",
        "apple apfel pomme manzana mela 🍎",
        "pear birne poire pera 🍐",
        "banana banane platano 🍌",
        "lemon lime zitrone citron limon limone 🍋",
        "orange_fruit oranges mandarin tangerine clementine apricot peach pfirsich peche 🍊 🍑",
        "cherry cherries kirsche cerise cereza ciliegia 🍒",
        "grapes grape traube raisin uva 🍇",
        "strawberry strawberries erdbeere fraise fresa 🍓",
        "watermelon melon wassermelone pasteque sandia 🍉",
        "carrot karotte mohre carotte zanahoria 🥕",
        "bread loaf baguette brot pain pan pane 🍞",
        "cheese kase fromage queso 🧀",
        "cake cupcake pie kuchen torte gateau pastel_cake torta 🎂",
        "cup mug coffee tea espresso tasse kaffee tee cafe taza tazza ☕",
        "teapot kettle teekanne theiere tetera 🫖",
        "bottle wine flasche wein bouteille vin botella vino 🍷",
        "glass wineglass goblet weinglas verre vaso",
        "vase bouquet blumenvase florero jarron",
        "jug pitcher pot krug cruche jarra",
        "bowl basket schussel bol cuenco korb",
        "book books buch bucher livre libro libros 📖 📚",
        "candle kerze bougie vela candela 🕯",
        "lamp light_bulb bulb lampe lampara 💡",
        "clock watch uhr horloge reloj orologio ⏰",
        "chair stool armchair stuhl chaise silla sedia 🪑",
        "guitar violin gitarre guitare guitarra cello ukulele 🎸 🎻",
        "umbrella parasol regenschirm parapluie paraguas ombrello ☂",
        "hat cap hut_hat chapeau sombrero cappello 🎩",
        "egg eggs ei oeuf huevo uovo 🥚",
        "shell seashell muschel coquillage concha 🐚",
        "heart herz coeur corazon cuore ❤",
        "gift present geschenk cadeau regalo 🎁",
        "key_thing key schlussel clef llave 🔑",
        "skull schadel crane_skull calavera 💀",
        "flowerpot potted_plant houseplant topfpflanze 🪴",
    ),
    *_things(
        "cosmic",
        "planet saturn jupiter mars exoplanet planete 🪐",
        "earth globe erde terre tierra 🌍 🌎",
        "galaxy nebula milky_way milchstrasse galaxie galaxia nebulosa 🌌",
    ),
    # --- where -----------------------------------------------------------------------------------
    *_words(
        "place",
        "forest wood woods woodland jungle grove rainforest wald foret bosque bosco",
        "space outer_space cosmos universe orbit weltraum espace espacio spazio",
        "underwater submarine_world seabed coral reef deep_sea unterwasser",
        "room interior indoors kitchen cafe_room library studio window table zimmer kuche"
        " fenster tisch cuisine fenetre mesa cocina tavolo",
        "savanna savannah safari africa",
        "park orchard vineyard",
    ),
    # --- when and which weather ------------------------------------------------------------------
    *_words(
        "time",
        "sunset sundown evening sonnenuntergang abend coucher_de_soleil soir atardecer tramonto"
        " golden_hour afterglow 🌇 🌅",
        "sunrise dawn morning daybreak sonnenaufgang morgen aube matin amanecer alba",
        "day midday noon daylight daytime tag mittag jour midi dia giorno afternoon",
        "dusk twilight blue_hour dammerung crepuscule crepusculo gloaming",
        "night midnight nighttime nocturnal moonlit moonlight nacht nuit noche notte starry_night"
        " nocturne 🌃",
    ),
    *_words(
        "season",
        "spring springtime fruhling printemps primavera",
        "summer sommer ete verano estate",
        "autumn fall herbst automne otono autunno 🍂 🍁",
        "winter christmas hiver invierno inverno frost frosty frozen icy",
    ),
    *_words(
        "air",
        "clear cloudless fine_weather fair klar",
        "storm tempest thunderstorm hurricane sturm gewitter orage tormenta tempesta ⛈",
        "wind breeze gale vent viento 💨",
        "wet moist damp",
    ),
    # --- mood ---------------------------------------------------------------------------------
    *_words(
        "mood",
        "calm quiet peaceful serene tranquil still silent gentle ruhig still_mood calme paix"
        " tranquilo peace silence",
        "dramatic epic intense powerful dramatisch majestic grand",
        "cheerful happy joyful bright lively sunny playful festive frohlich joyeux alegre"
        " colourful colorful vivid vibrant cute",
        "gloomy sad melancholy melancholic lonely bleak dreary sombre somber traurig triste dull",
        "dreamy dream ethereal soft hazy delicate traum reve sueno pale pastel_mood faded",
        "mysterious mystic mystical magical magic enchanted fantasy fairy surreal geheimnisvoll"
        " mysterieux misterioso",
        "warm cosy cozy golden romantic glowing gemutlich chaud calido amber_light",
        "cold cool chilly freezing kalt froid frio freddo",
        "spooky scary haunted eerie dark creepy sinister dunkel sombre_mood oscuro horror",
        "vintage retro old ancient antique nostalgic sepia_mood rustic weathered",
        "neon cyberpunk synthwave vaporwave futuristic electric",
        "minimal minimalist simple plain empty",
    ),
    # --- colours ------------------------------------------------------------------------------
    *_words(
        "colour",
        "red rot rouge rojo roja rosso rossa ruby vermilion",
        "crimson scarlet burgundy maroon",
        "orange apricot_colour tangerine_colour",
        "gold golden_colour mustard ochre amber",
        "yellow gelb jaune amarillo amarilla giallo",
        "green grun vert verte verde emerald",
        "lime_green chartreuse mint",
        "olive sage moss",
        "teal turquoise cyan aqua turkis",
        "blue blau bleu bleue azul blu azure cobalt",
        "navy indigo ultramarine",
        "purple violet lila mauve lilac violett viola morado plum",
        "magenta fuchsia",
        "pink rosa_colour coral_pink salmon_pink",
        "brown braun brun marron chestnut tan sienna bronze copper",
        "beige cream ivory sand_colour",
        "black schwarz noir noire negro negra nero ebony",
        "white weiss blanc blanche blanco blanca bianco snow_white",
        "grey gray grau gris grigio silver ash",
        "ginger rust rusty terracotta",
    ),
    # --- how many, how big, how seen ----------------------------------------------------------
    *_words(
        "count",
        "1 one single lone solitary ein eine einer un une uno una",
        "2 two pair couple both zwei deux dos due",
        "3 three trio drei trois tres tre",
        "4 four vier quatre cuatro quattro",
        "5 five funf cinq cinco cinque",
        "6 six sechs seis sei",
        "7 seven sieben sept siete sette several some mehrere plusieurs varios",
        "8 eight acht huit ocho otto",
        "9 nine neun neuf nueve nove many lots group viele beaucoup muchos flock herd",
        "10 ten zehn dix diez dieci",
        "12 eleven twelve dozen hundred countless",
    ),
    *_words(
        "size",
        "small little tiny distant far miniature klein kleine kleines petit petite pequeno"
        " pequena piccolo",
        "big large huge giant tall great enormous gross grosse grosser grand_size grande"
        " towering close near",
    ),
    *_words(
        "frame",
        "portrait headshot face close_up closeup head selfie bust bildnis retrato ritratto gesicht",
        "still_life stillleben nature_morte bodegon",
        "wide_view panorama vista wide panoramic aerial",
    ),
    *_words("part", "eyes eye augen yeux ojos occhi"),
)

_NEGATIONS = (
    "except exclude excluding kein keine keinen minus never no not ohne sans senza sin without"
)
NEGATIONS = frozenset(_NEGATIONS.split())

_STOP_WORDS = """
a an the and or of in on at by with from to into onto over under above below behind before
beside between near next is are be being am was were it its this that these those there here
as for up down out off through across around along against among upon toward towards very
really so quite too also just only some any all each my your his her our their i you he she we
they me him us them who which what where when while whose has have having had do does did can
could will would should may please make show give paint draw create generate picture image
painting drawing illustration scene view depicting featuring style art artwork beautiful nice
pretty lovely stands stand standing sits sit sitting lies lie lying looks look looking der die
das den dem des und oder im in am an auf bei mit von vom zu zum zur uber unter hinter vor
neben zwischen ist sind einen einem einer bild le la les l d de du des et ou au aux dans sur
sous avec par pour est sont devant derriere el los las lo y o en con por para del al es son
una il gli di e nel nella sul sulla della s t 's
"""
STOP_WORDS = frozenset(_STOP_WORDS.split())

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (201, 52, 48),
    "crimson": (158, 30, 56),
    "orange": (232, 132, 44),
    "gold": (222, 172, 62),
    "yellow": (242, 210, 74),
    "green": (74, 146, 84),
    "lime_green": (158, 200, 96),
    "olive": (128, 132, 72),
    "teal": (40, 142, 146),
    "blue": (58, 112, 190),
    "navy": (38, 52, 110),
    "purple": (128, 78, 160),
    "magenta": (196, 54, 136),
    "pink": (238, 150, 172),
    "brown": (132, 88, 56),
    "beige": (226, 208, 174),
    "black": (44, 42, 52),
    "white": (242, 240, 234),
    "grey": (146, 148, 154),
    "ginger": (206, 108, 50),
}
