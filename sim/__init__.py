"""The world around the exchange: firms, seasons, and the checks that judge them."""
