"""The network of dynos: subnets, interfaces, name servers and the rules of the firewall."""
