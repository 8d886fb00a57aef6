-- phase: grants
-- says: aegis_buyer lacks update (status)
revoke update (status) on ads.optimization_recommendations from aegis_buyer;
