"""How the pocket scorer was made: collect clips, train, evaluate. One command each; see the card beside the weights."""
