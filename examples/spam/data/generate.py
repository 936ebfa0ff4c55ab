"""Write spam.txt beside this file: made-up reviews of food, one a line, always the same ones.

Run it again after changing it, and commit the result: python data/generate.py
"""

from __future__ import annotations

import random
import re
from pathlib import Path

COUNT = 2500
SEED = 1811  # The year in which Sense and Sensibility appeared.

# A name in braces stands for one entry, at random, of the list of that name.
LISTS = {
    "food": """chips|crackers|pretzels|cookies|granola bars|almonds|cashews|peanuts|popcorn bags|rice cakes
        |gummy bears|chocolate bars|energy bars|potato chips|tortilla chips|veggie chips|protein bars
        |dried mangoes|banana chips|noodles|ramen cups|lentils|black beans|chickpeas|pancakes|waffles|muffins
        |brownies|licorice twists|mints|coffee pods|tea bags|dog treats|cat treats|beef jerky sticks
        |pumpkin seeds|raisins|pistachios|olives|pickles|tomatoes|sardines|oats|corn flakes|marshmallows
        |truffles|lollipops|pasta shells|croutons|breadsticks""",
    "drink": """coffee|espresso|decaf|green tea|chai|hot chocolate|lemonade|coconut water|apple juice|cold brew
        |iced tea|energy drink|soda|ginger ale|almond milk|oat milk|protein shake|kombucha|instant coffee
        |dark roast|earl grey""",
    "thing": """hot sauce|olive oil|maple syrup|peanut butter|almond butter|honey|salsa|mayonnaise|ketchup
        |mustard|cereal|granola|oatmeal|pasta|quinoa|brown rice|flour|baking mix|pancake mix|cake mix|seasoning
        |curry paste|soy sauce|barbecue sauce|garlic powder|sea salt|coconut oil|vinegar|jam|jerky|trail mix
        |dog food|cat food|baby food|soup|gluten free bread|pizza dough|stevia|sweetener|vanilla extract
        |protein powder|chili|salad dressing|hummus""",
    "good": """delicious|tasty|fantastic|awesome|super fresh|crunchy|addictive|yummy|really good
        |perfectly seasoned|crispy|amazing|so flavorful|not too sweet|rich and smooth|great|excellent
        |light and crisp|the best|wonderful|chewy""",
    "bad": """stale|way too salty|bland|bitter|soggy|too sweet|burnt|rancid|mushy|gross|disappointing|dry|greasy
        |watery|artificial|overpriced|chalky|flavorless|awful|like cardboard|weak|moldy|expired
        |not what I expected""",
    "person": """my family|my kids|my husband|my wife|my daughter|my son|my toddler|my coworkers|my roommate
        |my mom|my boyfriend|my girlfriend|everyone at the office|the whole family|my grandkids|my friends
        |our guests|my dad|my picky four year old|the kids""",
    "pet": """my dog|my cat|our puppy|my two cats|our labrador|my picky kitten|my old beagle|the dogs
        |our terrier""",
    "loved": """loved|absolutely loved|couldn't get enough of|devoured|went crazy for|really enjoyed|finished
        |adored|kept asking for|couldn't stop eating|ate all of|liked""",
    "hated": """hated|didn't like|wouldn't touch|couldn't finish|spat out|refused to eat|complained about
        |threw out""",
    "bought": """ordered|bought|tried|picked up|purchased|got|received|reordered|sampled|stocked up on
        |subscribed to""",
    "shop": """on Amazon|online|at Costco|at the grocery store|from this seller|on sale|at Walmart|with a coupon
        |on subscription|at Trader Joe's|from the website|in bulk|at the supermarket|last month|last week
        |for the office""",
    "pack": "bag|box|case|can|jar|bottle|pack|package|packet|carton|tub|pouch|12 pack|variety pack|container",
    "fault": """arrived crushed|was leaking|came open|was dented|was already expired|arrived two weeks late
        |was broken|was half empty|had melted in the heat|was missing|smelled weird|was damaged in shipping
        |was not sealed""",
    "flavor": """cinnamon|vanilla|sea salt|barbecue|jalapeno|lime|garlic|cheddar|caramel|chocolate|hazelnut
        |honey mustard|coconut|peanut butter|salt and vinegar|ranch|mango|raspberry|peppermint|teriyaki|smoky
        |spicy|lemon|pumpkin spice""",
    "diet": """gluten free|vegan|low carb|sugar free|organic|keto|low sodium|non GMO|dairy free|low calorie
        |high protein""",
    "use": """for breakfast|as a snack|in my smoothies|on salads|in the lunch box|with dinner|after the gym
        |on road trips|for baking|over ice cream|at my desk|with milk|on toast|in soups|before bed|at the movies
        |for the holidays""",
    "price": """great price|too expensive for what you get|cheaper than the store|worth every penny|a bit pricey
        |good value|a waste of money|half the price of other brands|not worth the shipping cost""",
    "stars": "one star|two stars|three stars|four stars|five stars|5 stars|1 star|zero stars",
    "number": "two|three|four|six|ten|twelve|twenty|a dozen",
}

SENTENCES = [
    "I have been looking for a {diet} {thing} that doesn't taste {bad}, and this is the one",
    "If you are looking for a {good} {drink}, this is it",
    "I was very disappointed with the taste of the {food}, but the {flavor} ones are not bad at all",
    "I am not a fan of {flavor} {drink}, but this one is so {good} that I had to order it again",
    "My only complaint is that the {pack} is too small and there were only {number} of them in it",
    "The description said {diet}, but when it came the label on the {pack} said that it was not",
    "There was a wide assortment of {food} and all of them were {good}",
    "I have to say that this is the most {good} {thing} that I have had in a long time",
    "We have tried many kinds of {thing} over the years and this has been the best for the money",
    "My doctor told me to cut down on salt, so I was happy to find a {diet} brand with this much flavor",
    "I could not believe how {good} it was when I tried it for the first time {use}",
    "She had to be on a {diet} diet and it has been very hard to find {food} that she can eat",
    "He is a very picky eater, but he will eat a whole {pack} of these in one day if you let him",
    "It would have been {good} if it had not been for the {flavor}, which was much too strong for me",
    "As a {drink} drinker I was not sure about it, but I must admit that it is very {good}",
    "The quality of the {food} has gone down and they are now smaller than they were before",
    "It arrived on time and in perfect condition, and it was as {good} as I had hoped",
    "I think that {food} should be {good}, and these were anything but that",
    "We have been giving this to {pet} for {number} months and the vet says that it is good for the digestion",
    "I was looking for a healthy snack to take to work, and these have only {number} grams of sugar",
    "You get {number} {pack}s for the price of one, which is a great price for a product of this quality",
    "I received the wrong order, with {food} in it, and had to send all of it back to the seller",
    "It is hard to find this {thing} in any of the stores near us, so I was glad to see it {shop}",
    "The first {pack} was {good}, but the second one was {bad} and I had to throw it in the trash",
    "I do not know if it is the {flavor} or the {thing}, but there is something about it that is very {good}",
    "I got these for a party and none of them were left, so I will be ordering more of the {flavor} ones",
    "They are soft and fresh and they have a lot of {flavor} in them, which is what I like",
    "What a treat",
    "So yummy",
    "Good stuff",
    "The {drink} was {good}",
    "The {thing} was {bad}",
    "I was so disappointed",
    "I {bought} these {food} and {person} {loved} them",
    "I {bought} these {food} {shop} and they are {good}",
    "I {bought} this {thing} {shop} and it tastes {bad}",
    "These {food} are {good}",
    "These {food} are {bad}, {person} {hated} them",
    "The {food} were {bad} and the {pack} {fault}",
    "The {pack} of {food} {fault}",
    "The {pack} {fault} and I want a refund",
    "{person} {loved} these {food}",
    "{person} {loved} the {flavor} flavor",
    "{person} {loved} this {thing} {use}",
    "{pet} {loved} these {food}",
    "{pet} {hated} this {thing}",
    "Best {thing} ever",
    "Best {food} I have ever tasted",
    "Worst {drink} I ever had",
    "This {drink} is {good} and tastes like {flavor}",
    "This {drink} tastes {bad}",
    "This {thing} is {good}, {price}",
    "This {thing} is {bad}, {price}",
    "The {flavor} {drink} is {good}",
    "The {flavor} {food} are {good} and {diet}",
    "Love that it is {diet}",
    "We eat these {food} {use}",
    "I use this {thing} {use}",
    "I drink this {drink} every morning {use}",
    "{flavor} is the only flavor worth buying",
    "The aftertaste is {bad}",
    "The texture is {good} but the flavor is {bad}",
    "Great product, fast shipping",
    "Shipping was slow and the {pack} {fault}",
    "Customer service never answered my email about the {food}",
    "Will buy again",
    "Will not buy this {thing} again",
    "Highly recommend these {food}",
    "Don't buy this {drink}, {stars}",
    "Would recommend to anyone who is {diet}",
    "I give it {stars}",
    "{stars} for the {flavor} {food}",
    "{price}",
    "Ingredients list is short and everything is {diet}",
    "I bought {number} {pack}s {shop} and {person} ate them in a day",
    "It only has {number} calories per serving and it's {good}",
    "Perfect {use}",
    "Just add water and microwave for {number} minutes",
    "I have been buying this {thing} for {number} years",
    "They changed the recipe and now the {food} taste {bad}",
    "The {diet} version is {bad}",
    "So {good} {use}",
    "Tastes just like homemade {thing}",
]
ENDINGS = [".", ".", ".", "!", "!!", "", "..."]


class Reviewer:
    """Makes up reviews from a seed.

    Only `random()` is drawn from the generator: it is the one method whose numbers no Python version may change.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._lists = {name: [entry.strip() for entry in text.split("|")] for name, text in LISTS.items()}

    def review(self) -> str:
        """Return one review of one to three sentences."""
        count = 1 + int(self._random.random() * 3)
        return " ".join(self._sentence() for _ in range(count))

    def _sentence(self) -> str:
        template = self._pick(SENTENCES)
        text = re.sub(r"{(\w+)}", lambda match: self._pick(self._lists[match[1]]), template)
        # Not everyone cares for capitals.
        text = text[0].upper() + text[1:] if self._random.random() < 0.85 else text.lower()
        return text + self._pick(ENDINGS)

    def _pick(self, entries: list[str]) -> str:
        return entries[int(self._random.random() * len(entries))]


def main() -> None:
    """Write the reviews, each of them once."""
    reviewer = Reviewer(SEED)
    reviews: dict[str, None] = {}
    while len(reviews) < COUNT:
        reviews[reviewer.review()] = None
    target = Path(__file__).with_name("spam.txt")
    target.write_text("".join(f"{review}\n" for review in reviews), encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
