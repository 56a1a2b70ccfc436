namespace Spectral.Training.Adapters;

/// <summary>The load of an adapter's routers in one step, on this process.</summary>
/// <param name="Loss">
/// The mean over the routers of E Σ_e f_e P_e, with the share f_e of the choices and the mean probability P_e of each
/// of E experts: 1 where all get equally much (Fedus et al., "Switch Transformers", 2021).
/// </param>
/// <param name="Largest">The mean over the routers of the load of the expert that is chosen most: E·f_e.</param>
/// <param name="Smallest">The mean over the routers of the load of the expert that is chosen least.</param>
public sealed record RouterReport(double Loss, double Largest, double Smallest)
{
    /// <summary>The names of the values in logs.</summary>
    public static IReadOnlyList<string> Names { get; } = ["router_loss", "router_load_max", "router_load_min"];

    /// <summary>Returns the values, in the order of <see cref="Names"/>.</summary>
    public IReadOnlyList<double> Values() => [Loss, Largest, Smallest];

    /// <summary>Sums up the losses and the shares of choices of some routers; null: nothing was routed.</summary>
    internal static RouterReport? Of(IReadOnlyList<(double Loss, double[] Shares)> routers) =>
        routers.Count == 0
            ? null
            : new RouterReport(
                routers.Average(router => router.Loss),
                routers.Average(router => router.Shares.Length * router.Shares.Max()),
                routers.Average(router => router.Shares.Length * router.Shares.Min())
            );
}
