"""The words of the savings report, by language."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("fr", "en", "de")

MONTHS: Mapping[str, tuple[str, ...]] = {
    "fr": (
        *("janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août"),
        *("septembre", "octobre", "novembre", "décembre"),
    ),
    "en": (
        *("January", "February", "March", "April", "May", "June", "July", "August"),
        *("September", "October", "November", "December"),
    ),
    "de": (
        *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August"),
        *("September", "Oktober", "November", "Dezember"),
    ),
}

TEXTS: Mapping[str, Mapping[str, str]] = {
    "fr": {
        "head": "Éclairage public : bilan du {first} au {last}",
        "title": "Éclairage public : ce qui a été économisé, et par rapport à quoi",
        "intro": "Nuits du {first} au {last}. Énergie mesurée au compteur, veille de jour "
        "comprise. Intervalles à 90 % : erreur des compteurs {meter} %, incertitude admise des "
        "puissances déclarées {declared} %, et dispersion d'une nuit à l'autre.",
        "all": "Ensemble",
        "baseline": "Référence",
        "groups": "Groupes",
        "before": "Référence, kWh",
        "measured": "Mesuré, kWh",
        "saved": "Économie, kWh",
        "saving": "Économie",
        "interval": "Intervalle à 90 %",
        "to": "à",
        "bound": "« bound » : la classe que le trafic compté demandait. Aucune commande ne peut "
        "économiser davantage en respectant la classe.",
        "extent": "Luminaires : {lamps}. Nuits mesurées : {nights} (écartées, mesurées à moins de "
        "90 % : {left_out}), soit {dark} h d'obscurité. Énergie : {kwh} kWh ({meter}), dont veille "
        "de jour {standby} kWh.",
        "feeder": "compteur de l'armoire",
        "lamps": "compteurs des luminaires",
        "curve_declared": "Puissance d'un luminaire : {full} W déclarés.",
        "curve_lamps": "Puissance d'un luminaire : {full} W à plein flux, apprise sur les "
        "luminaires (± {half} W à 90 %).",
        "curve_feeder": "Puissance d'un luminaire : {full} W à plein flux, apprise sur le départ "
        "(± {half} W à 90 %).",
        "dead": "Luminaires en panne : {dead} h, retirées de chaque référence.",
        "shares": "D'où vient l'économie",
        "step": "Étape",
        "share": "Part de ce qui restait",
        "led": "LED au lieu de l'ancien parc (B1 par rapport à B0)",
        "control": "Commande (mesuré par rapport à B1), soit :",
        "output": "flux constant, sur-éclairage retiré, marge du projet",
        "extinction": "extinction décidée par la commune",
        "class": "classe suivie d'après le trafic",
        "multiply": "Les parts se multiplient, elles ne s'ajoutent pas.",
        "light": "Lumière donnée",
        "normal": "classe normale",
        "one": "une classe plus bas",
        "two": "deux classes plus bas",
        "below": "sous la classe la plus basse",
        "extinguished": "éteint par décision",
        "off": "éteint sans décision",
        "under": "Sous la classe demandée par le comptage : {minutes}, sur {judged} h jugées "
        "({unknown} h sans comptage).",
        "depth_one": "{minutes} min d'une classe",
        "depth_more": "{minutes} min de {depth} classes",
        "never": "0 min",
        "lm_per_m2": "Flux installé {value} lm/m²",
        "cct_k": "Température de couleur {value} K",
        "ulr_pct": "Lumière au-dessus de l'horizon {value} %",
        "kept": "{what} (limite {limit}, arrêté du 27 décembre 2018).",
        "broken": "{what} : limite de {limit} non respectée (arrêté du 27 décembre 2018, "
        "installations depuis 2020).",
        "indicators": "AECI {aeci} kWh/(m²·an), ancien parc {before} ; PDI {pdi} W/(lx·m²) "
        "(EN 13201-5).",
        "B1": "LED, plein flux du coucher au lever",
        "B3": "LED, profil fixe des six semaines avant le mois",
        "bound_name": "LED, classe du trafic compté",
    },
    "en": {
        "head": "Public lighting: report of {first} to {last}",
        "title": "Public lighting: what was saved, and against what",
        "intro": "Nights of {first} to {last}. Energy as metered, standby by day included. "
        "Intervals of 90 %: error of the meters {meter} %, of declared powers {declared} % "
        "(assumed), and what nights differ by.",
        "all": "Everything",
        "baseline": "Baseline",
        "groups": "Groups",
        "before": "Baseline, kWh",
        "measured": "Measured, kWh",
        "saved": "Saved, kWh",
        "saving": "Saving",
        "interval": "90 % interval",
        "to": "to",
        "bound": '"bound": the class that the counted traffic asked for. No control saves more and '
        "keeps the class.",
        "extent": "Luminaires: {lamps}. Nights metered: {nights} (left out, metered for less than "
        "90 %: {left_out}), {dark} h of dark. Energy: {kwh} kWh ({meter}), of it standby by day "
        "{standby} kWh.",
        "feeder": "meter of the cabinet",
        "lamps": "meters of the luminaires",
        "curve_declared": "Power of a luminaire: {full} W declared.",
        "curve_lamps": "Power of a luminaire: {full} W at full output, learned from the "
        "luminaires (± {half} W at 90 %).",
        "curve_feeder": "Power of a luminaire: {full} W at full output, learned from the feeder "
        "(± {half} W at 90 %).",
        "dead": "Dead luminaires: {dead} h, taken out of every baseline.",
        "shares": "Where the saving comes from",
        "step": "Step",
        "share": "Share of what was left",
        "led": "LED in the place of the old park (B1 against B0)",
        "control": "Control (measured against B1), that is:",
        "output": "constant light output, over-lighting removed, room of the design",
        "extinction": "off by decision of the council",
        "class": "class that follows the traffic",
        "multiply": "Shares are multiplied, never added.",
        "light": "Light given",
        "normal": "normal class",
        "one": "one class lower",
        "two": "two classes lower",
        "below": "under the lowest class",
        "extinguished": "off by decision",
        "off": "off without a decision",
        "under": "Under the class that the counts asked for: {minutes}, of {judged} h judged "
        "({unknown} h without a count).",
        "depth_one": "{minutes} min by one class",
        "depth_more": "{minutes} min by {depth} classes",
        "never": "0 min",
        "lm_per_m2": "Installed flux {value} lm/m²",
        "cct_k": "Colour temperature {value} K",
        "ulr_pct": "Light above the horizon {value} %",
        "kept": "{what} (limit {limit}, arrêté of 27 December 2018).",
        "broken": "{what}: the limit of {limit} is not kept (arrêté of 27 December 2018, what is "
        "installed from 2020 on).",
        "indicators": "AECI {aeci} kWh/(m² a), old park {before}; PDI {pdi} W/(lx m²) "
        "(EN 13201-5).",
        "B1": "LED, full output from dusk to dawn",
        "B3": "LED, fixed profile of the six weeks before the month",
        "bound_name": "LED, class of the counted traffic",
    },
    "de": {
        "head": "Straßenbeleuchtung: Bilanz vom {first} bis {last}",
        "title": "Straßenbeleuchtung: was gespart wurde, und wogegen",
        "intro": "Nächte vom {first} bis {last}. Energie am Zähler gemessen, Bereitschaft am Tag "
        "eingeschlossen. Intervalle zu 90 %: Fehler der Zähler {meter} %, der erklärten Leistungen "
        "{declared} % (angenommen), und die Streuung von Nacht zu Nacht.",
        "all": "Insgesamt",
        "baseline": "Bezug",
        "groups": "Gruppen",
        "before": "Bezug, kWh",
        "measured": "Gemessen, kWh",
        "saved": "Gespart, kWh",
        "saving": "Ersparnis",
        "interval": "Intervall zu 90 %",
        "to": "bis",
        "bound": "„bound“: die Klasse, die der gezählte Verkehr verlangte. Keine Steuerung spart "
        "mehr und hält die Klasse ein.",
        "extent": "Leuchten: {lamps}. Gemessene Nächte: {nights} (ausgelassen, zu weniger als 90 % "
        "gemessen: {left_out}), {dark} h Dunkelheit. Energie: {kwh} kWh ({meter}), davon "
        "Bereitschaft am Tag {standby} kWh.",
        "feeder": "Zähler des Schaltschranks",
        "lamps": "Zähler der Leuchten",
        "curve_declared": "Leistung einer Leuchte: {full} W, erklärt.",
        "curve_lamps": "Leistung einer Leuchte: {full} W bei vollem Licht, an den Leuchten gelernt "
        "(± {half} W zu 90 %).",
        "curve_feeder": "Leistung einer Leuchte: {full} W bei vollem Licht, am Abgang gelernt "
        "(± {half} W zu 90 %).",
        "dead": "Ausgefallene Leuchten: {dead} h, aus jedem Bezug herausgenommen.",
        "shares": "Woher die Ersparnis kommt",
        "step": "Schritt",
        "share": "Anteil am Verbliebenen",
        "led": "LED statt der alten Anlage (B1 gegen B0)",
        "control": "Steuerung (gemessen gegen B1), das heißt:",
        "output": "konstanter Lichtstrom, Überbeleuchtung, Reserve des Entwurfs",
        "extinction": "aus auf Beschluss der Gemeinde",
        "class": "Klasse nach dem Verkehr",
        "multiply": "Anteile werden multipliziert, nie addiert.",
        "light": "Gegebenes Licht",
        "normal": "normale Klasse",
        "one": "eine Klasse tiefer",
        "two": "zwei Klassen tiefer",
        "below": "unter der tiefsten Klasse",
        "extinguished": "aus auf Beschluss",
        "off": "aus ohne Beschluss",
        "under": "Unter der Klasse, die die Zählung verlangte: {minutes}, von {judged} h beurteilt "
        "({unknown} h ohne Zählung).",
        "depth_one": "{minutes} min um eine Klasse",
        "depth_more": "{minutes} min um {depth} Klassen",
        "never": "0 min",
        "lm_per_m2": "Installierter Lichtstrom {value} lm/m²",
        "cct_k": "Farbtemperatur {value} K",
        "ulr_pct": "Licht über dem Horizont {value} %",
        "kept": "{what} (Grenze {limit}, französischer Erlass vom 27. Dezember 2018).",
        "broken": "{what}: die Grenze von {limit} ist nicht eingehalten (französischer Erlass vom "
        "27. Dezember 2018, für Anlagen ab 2020).",
        "indicators": "AECI {aeci} kWh/(m²·a), alte Anlage {before}; PDI {pdi} W/(lx·m²) "
        "(EN 13201-5).",
        "B1": "LED, volles Licht von der Dämmerung bis zum Morgen",
        "B3": "LED, festes Profil der sechs Wochen vor dem Monat",
        "bound_name": "LED, Klasse des gezählten Verkehrs",
    },
}
