-- phase: grants
-- says: ads.optimization_recommendations: aegis_buyer has update (evidence), which nobody granted
grant update (evidence) on ads.optimization_recommendations to aegis_buyer;
