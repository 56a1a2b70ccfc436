using Spectral.Kernels;

namespace Spectral.Bench;

/// <summary>
/// Times variants of one scenario against each other on device events. All are warmed first; then they take turns, a
/// part of the samples each per round, so that a change of clocks or temperature meets all alike. A sample is one call,
/// or as many as fill <see cref="ShortestSample"/>: events resolve half a microsecond. Work is queued without waiting,
/// so the device idles only where the host cannot keep up, which is then part of the time, as in use. The CPU device
/// computes in threads of this process, whose processor time is read in place of events: what else the machine does
/// counts less then.
/// </summary>
internal sealed class Timer(Machine machine)
{
    private const int Rounds = 5;
    private const int Warmups = 3;
    private const double ShortestSample = 200;
    private const double LongestTotal = 4e6; // µs: of a sample, and of all samples of a variant

    private readonly int _wanted = machine.Choose(60, 20, 5);
    private readonly int _least = machine.Choose(10, 5, 3);

    public Dictionary<Variant, Samples> Run(IReadOnlyList<Variant> variants, int copies)
    {
        var done = new Dictionary<Variant, Samples>();
        Course[] courses = [.. variants.Select(variant => new Course(machine.Device, variant, copies))];
        foreach (Course course in courses)
        {
            course.Take(1, 1); // loads modules, fills the pool
            double estimate = course.Take(Warmups, 1).Order().ElementAt(Warmups / 2);
            course.Calls =
                machine.Extent == Extent.Smoke ? 1 : (int)Math.Clamp(ShortestSample / Math.Max(estimate, 0.5), 1, 100);
            course.Wanted = Count(course.Variant, estimate * course.Calls);
        }
        for (int round = 0; round < Rounds; round++)
        {
            foreach (Course course in courses)
            {
                int part = course.Wanted * (round + 1) / Rounds - course.Wanted * round / Rounds;
                if (part == 0)
                    continue;
                course.Take(1, course.Calls); // the first after another variant is not counted
                course.Times.AddRange(course.Take(part, course.Calls));
            }
        }

        foreach (Course course in courses)
            done[course.Variant] = new Samples([.. course.Times], course.Calls, machine.IsGpu ? "events" : "processor");
        return done;
    }

    /// <summary>Samples to take of a variant whose samples last so long.</summary>
    public int Count(Variant variant, double sampleMicroseconds) =>
        Math.Clamp(
            Math.Clamp((int)(LongestTotal / Math.Max(1, sampleMicroseconds)), _least, _wanted),
            variant.LeastSamples,
            variant.MostSamples
        );

    /// <summary>The way of one variant through the rounds.</summary>
    private sealed class Course(Device device, Variant variant, int copies)
    {
        private int _copy;

        public Variant Variant => variant;
        public int Calls { get; set; } = 1;
        public int Wanted { get; set; }
        public List<double> Times { get; } = [];

        /// <summary>Microseconds per call of so many samples.</summary>
        public double[] Take(int samples, int calls) =>
            device.Kind == DeviceKind.Cpu ? TakeProcessorTime(samples, calls) : TakeEvents(samples, calls);

        private double[] TakeProcessorTime(int samples, int calls)
        {
            double[] times = new double[samples];
            for (int i = 0; i < samples; i++)
            {
                TimeSpan start = Environment.CpuUsage.TotalTime;
                Call(calls);
                device.Synchronize();
                times[i] = (Environment.CpuUsage.TotalTime - start).TotalMicroseconds / calls;
            }

            return times;
        }

        private double[] TakeEvents(int samples, int calls)
        {
            var events = new DeviceEvent[2 * samples];
            for (int i = 0; i < events.Length; i++)
                events[i] = new DeviceEvent(device);
            for (int i = 0; i < samples; i++)
            {
                events[2 * i].Record();
                Call(calls);
                events[2 * i + 1].Record();
            }
            device.Synchronize();
            double[] times = new double[samples];
            for (int i = 0; i < samples; i++)
                times[i] = 1000.0 * events[2 * i + 1].MillisecondsSince(events[2 * i]) / calls;
            foreach (DeviceEvent used in events)
                used.Dispose();
            return times;
        }

        private void Call(int calls)
        {
            for (int call = 0; call < calls; call++)
            {
                variant.Run(_copy);
                _copy = (_copy + 1) % copies;
            }
        }
    }
}
